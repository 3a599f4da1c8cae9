"""SIGReg and LeJEPA's loss against slow implementations, golden values, lightly, two processes."""

import math
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from lotus.losses import LeJEPALoss, SIGReg, epps_pulley, random_directions, view_invariance

VIEWS, COUNT, DIM = 3, 8, 6


def embeddings(seed=0, shape=(VIEWS, COUNT, DIM)):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def slow_sigreg(values, directions):
    """View by view and direction by direction, over all of [-3, 3], in double precision."""
    frequencies = torch.linspace(-3, 3, 33, dtype=torch.float64)
    gaussian = torch.exp(-(frequencies**2) / 2)
    total = 0.0
    for view in values.double():
        for direction in directions.double().T:
            projected = torch.stack([image @ direction for image in view])
            empirical = torch.exp(1j * projected[:, None] * frequencies).mean(dim=0)
            difference = empirical - gaussian
            integrand = (difference * difference.conj()).real * gaussian
            total = total + len(view) * torch.trapezoid(integrand, frequencies)
    return total / (len(values) * directions.shape[1])


def slow_invariance(values, global_views):
    total = 0.0
    for image in range(values.shape[1]):
        centre = sum(values[view, image].double() for view in range(global_views)) / global_views
        for view in range(len(values)):
            total = total + ((values[view, image].double() - centre) ** 2).mean()
    return total / (len(values) * values.shape[1])


def with_gradient(function, values):
    values = values.clone().requires_grad_()
    result = function(values)
    result.backward()
    return result.detach(), values.grad


def mean_statistic(make, repeats=12):
    """Mean over draws, and its standard error."""
    sigreg = SIGReg(directions=512)
    found = torch.stack([sigreg(make(seed), step=seed) for seed in range(repeats)])
    return float(found.mean()), float(found.std()) / math.sqrt(repeats)


def test_value_and_gradient_are_those_of_a_slow_implementation():
    directions = random_directions(DIM, 5, seed=3, device="cpu")
    values = 1.5 * embeddings() + 0.3
    found, gradient = with_gradient(lambda z: epps_pulley(z, directions), values)
    expected, slow_gradient = with_gradient(lambda z: slow_sigreg(z, directions), values)
    assert found.dtype == torch.float32
    assert float(found) == pytest.approx(float(expected), rel=1e-5)
    torch.testing.assert_close(gradient, slow_gradient, rtol=1e-4, atol=1e-6)
    assert gradient.abs().min() > 1e-5


@pytest.mark.parametrize("weight", [0.0, 0.05, 1.0])
def test_every_term_of_lejepa_and_its_gradient(weight):
    """The gradient also goes through the mean of the global views: nothing stops it."""
    sigreg = SIGReg(directions=5)
    directions = random_directions(DIM, 5, seed=7, device="cpu")
    slow = {
        "sigreg": lambda z: slow_sigreg(z, directions),
        "invariance": lambda z: slow_invariance(z, 2),
        "loss": lambda z: (
            weight * slow_sigreg(z, directions) + (1 - weight) * slow_invariance(z, 2)
        ),
    }
    loss = LeJEPALoss(weight, sigreg)
    assert set(loss(embeddings(), 2, step=7)) == set(slow)
    for name, term in slow.items():
        found, gradient = with_gradient(lambda z, n=name: loss(z, 2, step=7)[n], embeddings())
        expected, slow_gradient = with_gradient(term, embeddings())
        assert float(found) == pytest.approx(float(expected), rel=1e-5), name
        torch.testing.assert_close(gradient, slow_gradient, rtol=1e-4, atol=1e-6)


def test_the_published_weight_is_the_usual_one():
    loss = LeJEPALoss()
    assert (loss.weight, loss.sigreg.directions, loss.sigreg.knots) == (0.05, 1024, 17)
    assert loss.sigreg.t_max == 3


@pytest.mark.parametrize(("count", "dim"), [(256, 512), (32, 64)])
def test_of_a_normal_distribution_the_statistic_does_not_depend_on_size_or_width(count, dim):
    mean, error = mean_statistic(lambda seed: embeddings(seed, (4, count, dim)))
    assert error < 0.02
    assert mean == pytest.approx(1.0525, abs=4 * error)


def test_of_a_total_collapse_it_is_two_fifths_of_the_batch():
    collapsed = SIGReg(directions=4)(torch.zeros(2, 256, 16), step=0)
    assert float(collapsed) / 256 == pytest.approx(0.402, abs=1e-3)
    # A constant is as bad wherever it lies; |φ̂| is 1 there too.
    elsewhere = SIGReg(directions=64)(torch.full((1, 256, 16), 5.0), step=0)
    assert float(elsewhere) / 256 > 0.402


def test_half_the_standard_deviation_costs_what_it_should():
    """Bias 38.71 and variance 0.45 at N = 256."""
    mean, error = mean_statistic(lambda seed: 0.5 * embeddings(seed, (1, 256, 256)))
    assert error < 0.1
    assert mean == pytest.approx(39.16, abs=4 * error)


def test_identical_views_are_looked_at_one_by_one():
    """Eight copies cost what one costs; flattened into one batch they would cost eight times that.

    The methods' example is 1.13 and 9.02.
    """
    sigreg = SIGReg(directions=256)
    view = embeddings(shape=(1, 256, 64))
    single = float(sigreg(view, step=0))
    assert single == pytest.approx(1.05, abs=0.3)
    assert float(sigreg(view.expand(8, -1, -1), step=0)) == pytest.approx(single, rel=1e-4)
    flattened = float(sigreg(view.expand(8, -1, -1).reshape(1, -1, 64), step=0))
    assert flattened == pytest.approx(8 * single, rel=1e-4)


@pytest.mark.parametrize("chunk", [1, 3, 5, 64])
def test_chunks_change_nothing(chunk):
    directions = random_directions(DIM, 5, seed=3, device="cpu")
    whole = with_gradient(lambda z: epps_pulley(z, directions), embeddings())
    parts = with_gradient(lambda z: epps_pulley(z, directions, chunk=chunk), embeddings())
    torch.testing.assert_close(parts, whole)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_autocast_changes_nothing(dtype):
    values = embeddings(shape=(2, 64, 32)).to(dtype)
    loss = LeJEPALoss(sigreg=SIGReg(directions=16))
    plain = with_gradient(lambda z: loss(z, 1, step=0)["loss"], values)
    inside = values.clone().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        found = loss(inside, 1, step=0)["loss"]
        found.backward()
    assert found.dtype == torch.float32
    assert torch.equal(found.detach(), plain[0])
    assert torch.equal(inside.grad, plain[1])


def test_directions_are_unit_vectors_that_the_step_decides():
    state = torch.get_rng_state()
    first = random_directions(5, 300, seed=1, device="cpu")
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(first, random_directions(5, 300, seed=1, device="cpu"))
    assert not torch.equal(first, random_directions(5, 300, seed=2, device="cpu"))
    torch.testing.assert_close(first.norm(dim=0), torch.ones(300))
    # Uniform on the sphere: no axis is preferred, and neither is a sign.
    assert first.mean(dim=1).abs().max() < 0.1
    torch.testing.assert_close(first @ first.T / 300, torch.eye(5) / 5, rtol=0, atol=0.05)
    sigreg = SIGReg(directions=4)
    assert sigreg(embeddings(), step=1) == sigreg(embeddings(), step=1)
    assert sigreg(embeddings(), step=1) != sigreg(embeddings(), step=2)


@pytest.mark.slow
def test_values_and_gradients_of_lightly():
    """With the same directions; lightly draws its own from the global random state."""
    lightly = pytest.importorskip("lightly.loss.lejepa_loss")
    directions = random_directions(DIM, 16, seed=0, device="cpu")

    class GivenDirections(lightly.SIGReg):
        def _generate_unit_vectors(self, device, dtype, num_features):
            return directions

    peer = lightly.LeJEPALoss(lambda_param=0.05)
    peer.sigreg = GivenDirections()
    own = LeJEPALoss(sigreg=SIGReg(directions=16))
    values = 2 * embeddings()
    found = with_gradient(lambda z: own(z, 2, step=0)["loss"], values)
    expected = with_gradient(lambda z: peer(global_proj=z[:2], local_proj=z[2:]), values)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(
        view_invariance(values, 2),
        lightly.lejepa_invariance_loss(all_proj=values, global_proj=values[:2]),
    )


@pytest.mark.parametrize("options", [{"directions": 0}, {"knots": 1}, {"t_max": 0}, {"chunk": 0}])
def test_numbers_that_are_too_small_are_refused(options):
    with pytest.raises(ValueError, match="expected at least 1, 1 and 2"):
        SIGReg(**options)


def test_a_weight_out_of_range_is_refused():
    with pytest.raises(ValueError, match="weight of SIGReg is 2; expected a number from 0 to 1"):
        LeJEPALoss(2.0)


def network():
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(DIM, DIM), nn.Tanh(), nn.Linear(DIM, DIM))


def step_of(model, images, evaluated=False):
    """Loss and terms of a step, and the gradients of the network."""
    loss = LeJEPALoss(0.3, SIGReg(directions=9, chunk=4)).train(not evaluated)
    terms = loss(model(images), 2, step=5)
    model.zero_grad()
    terms["loss"].backward()
    return {name: term.detach() for name, term in terms.items()}, [
        weight.grad.clone() for weight in model.parameters()
    ]


def uneven_step(model, images):
    """SIGReg alone, of processes that do not have equally many images."""
    model.zero_grad()
    value = SIGReg(directions=9)(model(images), step=5)
    value.backward()
    return value.detach(), [weight.grad.clone() for weight in model.parameters()]


def work_in_process(rank, folder):
    torch.set_num_threads(1)
    rendezvous = f"file://{folder}/rendezvous"
    dist.init_process_group("gloo", init_method=rendezvous, rank=rank, world_size=2)
    model = DistributedDataParallel(network())
    images = embeddings()
    results = {
        "step": step_of(model, images[:, rank::2]),
        "uneven": uneven_step(model, images[:, :3] if rank == 0 else images[:, 3:]),
        "evaluated": step_of(model, images[:, rank::2], evaluated=True)[0]["sigreg"],
    }
    torch.save(results, f"{folder}/{rank}.pt")
    dist.destroy_process_group()


@pytest.mark.slow
def test_two_processes_have_the_loss_and_the_gradients_of_one(tmp_path: Path):
    mp.spawn(work_in_process, args=(str(tmp_path),), nprocs=2)
    first, second = (torch.load(tmp_path / f"{rank}.pt") for rank in range(2))
    images = embeddings()
    alone, alone_gradients = step_of(network(), images)
    for found in (first, second):
        terms, gradients = found["step"]
        torch.testing.assert_close(terms["sigreg"], alone["sigreg"])
        torch.testing.assert_close(gradients, alone_gradients)
    for name in ("invariance", "loss"):
        mean = (first["step"][0][name] + second["step"][0][name]) / 2
        torch.testing.assert_close(mean, alone[name])
    for found in (first, second):
        torch.testing.assert_close(found["uneven"], uneven_step(network(), images))
    # Evaluation does not wait for others, which may have no batch left.
    halves = [step_of(network(), images[:, rank::2])[0]["sigreg"] for rank in range(2)]
    torch.testing.assert_close([first["evaluated"], second["evaluated"]], halves)
