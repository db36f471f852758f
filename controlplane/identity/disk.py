"""Files that hold keys: written whole, for their owner alone, and refused where others could read them."""

import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

from tulle.controlplane.identity.errors import IdentityError

FOR_ALL = 0o644
FOR_OWNER = 0o600


def write(path: Path, content: bytes, mode: int = FOR_OWNER) -> None:
    """Put a file there as a whole: a reader sees the former content or this one, also after a power failure.

    A key never is in a file that others could open, not even for a moment. IdentityError when it cannot be.
    """
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # mode 0600
        new = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                os.fchmod(file.fileno(), mode)
                file.flush()
                os.fsync(file.fileno())
            new.replace(path)
        except OSError:
            with suppress(OSError):
                new.unlink()
            raise
        sync_directory(path.parent)
    except OSError as error:
        raise IdentityError(f"{path}: cannot be written: {error.strerror}") from None


def sync_directory(path: Path) -> None:
    """Have the names in a directory on disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_secret(path: Path) -> bytes:
    """A file that only its owner may open. IdentityError when it cannot be read, or others could."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            _refuse_open(path, os.fstat(descriptor), FOR_OWNER)
            return file.read()
    except OSError as error:
        raise IdentityError(f"{path}: cannot be read: {error.strerror}") from None


def check_directory(path: Path) -> None:
    """IdentityError when others could look into a directory that is for secrets."""
    try:
        status = path.stat()
    except OSError as error:
        raise IdentityError(f"{path}: cannot be read: {error.strerror}") from None
    if not stat.S_ISDIR(status.st_mode):
        raise IdentityError(f"{path}: is no directory")
    _refuse_open(path, status, 0o700)


def _refuse_open(path: Path, status: os.stat_result, right: int) -> None:
    mode = stat.S_IMODE(status.st_mode)
    if mode & 0o077:
        raise IdentityError(
            f"{path}: others than its owner may use it (mode {mode:04o}), so it may not be secret any more;"
            f" type: chmod {right:o} {path}; and if others have been on this machine, begin with new keys"
        )
    if status.st_uid not in (os.geteuid(), 0):
        raise IdentityError(
            f"{path}: belongs to the user with id {status.st_uid}, who could change it; type:"
            f" chown {os.geteuid()} {path}; or run this as that user"
        )
