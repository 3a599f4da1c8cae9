"""Files that appear whole or not at all, and errors that name them as they will be called."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory


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
        with errors_naming(path, temporary):
            yield temporary
            temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextmanager
def hidden_folder(folder: Path, prefix: str = ".") -> Iterator[Path]:
    """Yield a folder for files that the body moves to another one once all of them are there.

    Args:
        folder: Where they are going to lie, and where the hidden folder lies meanwhile. Errors
            name files as if they were there already.
        prefix: What its name starts with.

    Yields:
        The hidden folder; it is gone at the end, with what is left in it.
    """
    with TemporaryDirectory(dir=folder, prefix=prefix) as name:
        hidden = Path(name)
        with errors_naming(folder, hidden):
            yield hidden


@contextmanager
def exclusively(folder: Path, output: Path) -> Iterator[None]:
    """Have a folder to oneself, among all processes that ask for it in this way.

    Args:
        folder: Of what is not finished; made if it is missing.
        output: What is going to be written, for the message.

    Raises:
        ValueError: Another process has it.
    """
    # Windows has none, and reads and writes without it.
    import fcntl

    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ValueError(
                f"another process is writing {output}; wait for it, or give another name"
            ) from None
        except OSError as error:
            # A file system without locks.
            if error.errno not in (errno.ENOLCK, errno.ENOTSUP, errno.EINVAL):
                raise
        yield
    finally:
        os.close(descriptor)


@contextmanager
def errors_naming(path: Path, temporary: Path) -> Iterator[None]:
    """Put the path that the user knows into the text of errors, in place of the temporary one.

    Args:
        path: What the user knows.
        temporary: File or folder whose name stands in errors of the body.

    Raises:
        OSError: The body's, with the other name.
    """

    def known(value: object) -> object:
        return value.replace(str(temporary), str(path)) if isinstance(value, str) else value

    try:
        yield
    except (ValueError, OSError) as error:
        # Without a number, and of a class of its own, it was raised in words that say enough.
        if isinstance(error, OSError) and (error.errno is not None or type(error) is OSError):
            # A full disk is reported without a name.
            reason = error.strerror or f"cannot be written ({error})"
            name = path if error.filename is None else known(str(error.filename))
            raise OSError(error.errno or errno.EIO, reason, str(name)) from error
        error.args = tuple(map(known, error.args))
        raise
