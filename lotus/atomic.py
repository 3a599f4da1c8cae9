"""Files that appear whole or not at all."""

from __future__ import annotations

import errno
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path that becomes ``path`` once the body has finished.

    The temporary file lies in the same folder, so that the last step is a rename within one file
    system, and keeps the name's suffixes, so that writers that look at them choose the same format.
    Whatever ends the body early (an error, a full disk, Ctrl-C) removes the temporary file and
    leaves an existing target as it was.

    Args:
        path: File to write. Its folder is created if it is missing.

    Yields:
        Path to write to instead of ``path``.

    Raises:
        ValueError: ``path`` is a folder.
        OSError: It cannot be written; the error names it.
    """
    path = Path(path)
    if path.is_dir():
        raise ValueError(f"{path} is a folder; the name of a file is needed to write to")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{secrets.token_hex(4)}-{path.name}")
    try:
        yield temporary
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        if error.filename is not None:
            raise
        # A full disk is reported without a name.
        reason = error.strerror or f"cannot be written ({error})"
        raise OSError(error.errno or errno.EIO, reason, str(path)) from error
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
