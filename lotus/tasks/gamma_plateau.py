"""When the first phase of the distillation ends."""

from typing import Any


class GammaPlateau:
    """Watch an exponential moving average of γ until it stops rising.

    γ rises while the student's features need less and less noise to look like the teacher's; the
    paper stops the diffusion's optimisation once γ has plateaued for ``patience`` epochs.

    Args:
        patience: Epochs without a rise of more than ``min_delta``.
        min_delta: The smallest rise of the average that counts.
        decay: Weight of the past in the average, 0 <= decay < 1.
        max_epochs: The phase ends after so many epochs whatever γ does.

    Raises:
        ValueError: A value out of range.
    """

    def __init__(self, patience: int, min_delta: float, decay: float, max_epochs: int) -> None:
        if patience < 1 or max_epochs < 1 or min_delta < 0 or not 0 <= decay < 1:
            raise ValueError(
                "expected patience >= 1, min_delta >= 0, 0 <= decay < 1 and max_epochs >= 1, got "
                f"{patience=}, {min_delta=}, {decay=}, {max_epochs=}"
            )
        self.patience = patience
        self.min_delta = min_delta
        self.decay = decay
        self.max_epochs = max_epochs
        self.average: float | None = None
        self.best = float("-inf")
        self.waited = 0
        self.epochs = 0
        self.reached = False

    def update(self, gamma: float) -> bool:
        """Take in one epoch's mean γ; true from the epoch on which the plateau is reached."""
        past = gamma if self.average is None else self.average
        self.average = self.decay * past + (1 - self.decay) * gamma
        self.epochs += 1
        if self.average > self.best + self.min_delta:
            self.best, self.waited = self.average, 0
        else:
            self.waited += 1
        self.reached |= self.waited >= self.patience or self.epochs >= self.max_epochs
        return self.reached

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs."""
        names = ("average", "best", "waited", "epochs", "reached")
        return {name: getattr(self, name) for name in names}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from :meth:`state_dict`."""
        for name, value in state.items():
            setattr(self, name, value)
