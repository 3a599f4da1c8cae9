"""Checkpoints that appear whole or not at all."""

import io
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning.plugins.io import TorchCheckpointIO

from lotus.atomic import atomic_path


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes beside the checkpoint and renames.

    Lightning writes into the system's temporary folder and moves the file, which is a copy where
    that folder is on another disk: a kill or a full disk during the copy would leave half a
    ``last.ckpt`` in the place of a good one.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None
    ) -> None:
        """Write one checkpoint.

        Args:
            checkpoint: What to save.
            path: The file.
            storage_options: Not used.

        Raises:
            OSError: It cannot be written, because the disk is full for example.
        """
        # From memory, because torch.save reports a full disk as an internal error.
        buffer = io.BytesIO()
        torch.save(checkpoint, buffer)
        with atomic_path(Path(path)) as temporary:
            temporary.write_bytes(buffer.getbuffer())
