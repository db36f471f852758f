"""The directory of a proxy's control socket: private to its user, and found again by `tulle reload`."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from tulle.proxy.failure import Failure


def default(user: int | None = None) -> Path:
    """Where a proxy of this user keeps its socket unless its configuration says otherwise."""
    if user is None or user == os.geteuid():
        if base := os.environ.get("XDG_RUNTIME_DIR"):
            return Path(base) / "tulle"
        user = os.geteuid()
    return Path("/run/tulle") if user == 0 else Path(f"/tmp/tulle-{user}")


def prepare(directory: Path) -> Path:
    """Make the directory if need be. `Failure` when it is not ours alone: others could pass for us there."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = directory.lstat()
    except OSError as error:
        raise Failure(
            f"cannot make the runtime directory {directory}: {error.strerror}; set runtime_dir"
        ) from None
    if not stat.S_ISDIR(found.st_mode):
        raise Failure(f"the runtime directory {directory} is no directory; remove it or set runtime_dir")
    if found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise Failure(
            f"the runtime directory {directory} can be written by others; "
            "`chmod 700` it, or set runtime_dir to one of this user's own"
        )
    return directory


def socket_path(directory: Path, pid: int) -> Path:
    return directory / f"{pid}.sock"


def candidates(pid: int) -> Iterator[Path]:
    """Where the socket of that process may be."""
    owner = Path(f"/proc/{pid}").stat().st_uid
    yield socket_path(default(), pid)
    yield socket_path(default(owner), pid)
    yield socket_path(Path(f"/run/user/{owner}/tulle"), pid)
    yield socket_path(Path("/run/tulle"), pid)
    yield socket_path(Path(f"/tmp/tulle-{owner}"), pid)
