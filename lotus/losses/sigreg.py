"""SIGReg: how far embeddings are from an isotropic Gaussian, in random directions.

LeJEPA (Balestriero & LeCun, 2025), written from its formulas.
"""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

T_MAX = 3.0
"""Largest frequency at which characteristic functions are compared."""
KNOTS = 17
"""Frequencies from 0 to `T_MAX`, both included."""
DIRECTIONS = 1024
CHUNK = 256
"""Directions at a time, at most."""


class SIGReg(nn.Module):
    """Sketched isotropic Gaussian regularisation of the embeddings of each view.

    The directions are new in every step. In training under `torch.distributed` all processes take
    the same and look at the embeddings of all of them together. In evaluation each looks at its own
    alone, because they may have different numbers of batches.

    Args:
        directions: K, how many random directions.
        knots: Frequencies in [0, ``t_max``], at least 2.
        t_max: The largest of them.
        chunk: Directions at a time, which bounds the memory; the values do not depend on it.

    Raises:
        ValueError: A number is too small.

    Examples:
        Two views whose embeddings have collapsed: 0.402 N, however many views there are.

        >>> round(float(SIGReg(directions=8)(torch.zeros(2, 10, 3), step=0)), 2)
        4.02
    """

    def __init__(
        self,
        directions: int = DIRECTIONS,
        knots: int = KNOTS,
        t_max: float = T_MAX,
        chunk: int = CHUNK,
    ) -> None:
        super().__init__()
        if min(directions, chunk) < 1 or knots < 2 or t_max <= 0:
            raise ValueError(
                f"found {directions} directions, {chunk} at a time, and {knots} knots up to "
                f"{t_max:g}; expected at least 1, 1 and 2, and more than 0"
            )
        self.directions = directions
        self.knots = knots
        self.t_max = t_max
        self.chunk = chunk

    def forward(self, embeddings: Tensor, step: int) -> Tensor:
        """The mean over views and directions of the Epps-Pulley statistic.

        Args:
            embeddings: (V, N, D), each view by itself.
            step: Decides the directions.

        Returns:
            float32 (); about 1.05 for a standard normal distribution, whatever N and D.
        """
        directions = random_directions(
            embeddings.shape[-1], self.directions, seed=step, device=embeddings.device
        )
        return epps_pulley(
            embeddings,
            directions,
            knots=self.knots,
            t_max=self.t_max,
            chunk=self.chunk,
            over_processes=self.training and dist.is_available() and dist.is_initialized(),
        )


def random_directions(dim: int, count: int, *, seed: int, device: torch.device | str) -> Tensor:
    """Unit vectors, uniform on the sphere.

    Args:
        dim: Their dimension D.
        count: How many.
        seed: Decides them; the global random state does not change.
        device: Where they are drawn.

    Returns:
        float32 (D, count).

    Examples:
        >>> lengths = random_directions(3, 2, seed=0, device="cpu").norm(dim=0)
        >>> [round(length, 4) for length in lengths.tolist()]
        [1.0, 1.0]
    """
    generator = torch.Generator(device).manual_seed(seed)
    directions = torch.randn(dim, count, generator=generator, device=device)
    return nn.functional.normalize(directions, dim=0)


def epps_pulley(
    embeddings: Tensor,
    directions: Tensor,
    *,
    knots: int = KNOTS,
    t_max: float = T_MAX,
    chunk: int = CHUNK,
    over_processes: bool = False,
) -> Tensor:
    """Mean of T = N ∫ |φ̂(t) - exp(-t²/2)|² exp(-t²/2) dt over views and directions.

    φ̂ is the empirical characteristic function of the N embeddings of a view along a direction. The
    integral from -t_max to t_max is twice that from 0, by the trapezoidal rule. At 0 both functions
    are 1 and nothing is to be added. In single precision whatever the autocast.

    Args:
        embeddings: (V, N, D).
        directions: (D, K), of unit length.
        knots: Frequencies from 0 to ``t_max``, both included.
        t_max: Largest frequency.
        chunk: Directions at a time.
        over_processes: Whether φ̂ and N are those of the embeddings of all processes together. The
            loss is then the same on all, and the mean over processes of its gradients, as
            data-parallel training takes it, is that of one process with all embeddings.

    Returns:
        float32 ().

    Examples:
        Embeddings that are all 0 have φ̂ = 1, and T = 0.402 N.

        >>> round(float(epps_pulley(torch.zeros(2, 10, 3), torch.eye(3))), 2)
        4.02
    """
    spacing = t_max / (knots - 1)
    count = embeddings.new_full((), embeddings.shape[1], dtype=torch.float32)
    with _single_precision(embeddings):
        scaled = embeddings.float() * spacing
        parts = [
            _CharacteristicSums.apply(scaled, part, knots - 1)
            for part in torch.split(directions, chunk, dim=1)
        ]
        sums = torch.cat(parts, dim=2)
        if over_processes:
            sums, count = _SumOverProcesses.apply(sums), _SumOverProcesses.apply(count)
        frequencies = spacing * torch.arange(1, knots, device=sums.device)
        gaussian = (-frequencies.square() / 2).exp()
        weights = 2 * spacing * gaussian
        weights[-1] /= 2
        cosine, sine = (sums / count).unbind(dim=-1)
        error = (cosine - gaussian[:, None, None]).square() + sine.square()
        # No matrix product: its backward would follow the autocast in which that is called.
        statistic: Tensor = count * (weights[:, None, None] * error).sum(dim=0).mean()
    return statistic


class _CharacteristicSums(torch.autograd.Function):
    """Σ_n cos(j x) and Σ_n sin(j x) of projections x, for j = 1 ... J: (J, V, K, 2).

    The frequencies are equidistant, so they are the sums of the powers of z = exp(ix): one sine and
    one cosine instead of J, and a gradient by Horner's rule. The projections are made again for it
    instead of being kept.
    """

    @staticmethod
    def forward(ctx: Any, embeddings: Tensor, directions: Tensor, harmonics: int) -> Tensor:
        ctx.save_for_backward(embeddings, directions)
        unit = _on_the_circle(embeddings, directions)
        power, sums = unit.clone(), []
        for _ in range(harmonics):
            sums.append(power.sum(dim=1))
            power.mul_(unit)
        return torch.view_as_real(torch.stack(sums))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        embeddings, directions = ctx.saved_tensors
        with _single_precision(embeddings):
            unit = _on_the_circle(embeddings, directions)
            # d/dx of Re(conj(g) z^j) is Re(i j conj(g) z^j).
            conjugate = torch.view_as_complex(gradients[0].contiguous()).conj()
            order = torch.arange(1, len(conjugate) + 1, device=unit.device)
            coefficients = (order[:, None, None] * conjugate)[:, :, None]
            total = coefficients[-1] * unit
            for coefficient in reversed(coefficients[:-1]):
                total.add_(coefficient).mul_(unit)
            return -total.imag @ directions.T, None, None


class _SumOverProcesses(torch.autograd.Function):
    """The sum of a tensor over all processes; so is its gradient."""

    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        total = value.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total


def _on_the_circle(embeddings: Tensor, directions: Tensor) -> Tensor:
    """exp(ix) of the projections x (V, N, K)."""
    angle = embeddings @ directions
    return torch.polar(torch.ones_like(angle), angle)


def _single_precision(tensor: Tensor) -> torch.autocast:
    return torch.autocast(tensor.device.type, enabled=False)
