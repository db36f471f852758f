"""The directory of a proxy's control socket: private to its user, and found again by `tulle reload`."""

import os
import stat
from collections.abc import Iterator
from contextlib import suppress

from tulle.proxy.failure import Failure


def default(user: int | None = None) -> str:
    """Where a proxy of this user keeps its socket unless its configuration says otherwise."""
    if user is None or user == os.geteuid():
        if base := os.environ.get("XDG_RUNTIME_DIR"):
            return os.path.join(base, "tulle")
        user = os.geteuid()
    return "/run/tulle" if user == 0 else f"/tmp/tulle-{user}"


def prepare(directory: str) -> str:
    """Make the directory if need be. `Failure` when it is not ours alone: others could pass for us there."""
    try:
        os.makedirs(directory, mode=0o700, exist_ok=True)
        found = os.lstat(directory)
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


def remove_stale(directory: str) -> None:
    """Remove the sockets of proxies that were killed."""
    with suppress(OSError):
        for name in os.listdir(directory):
            pid, ending = os.path.splitext(name)
            if ending == ".sock" and pid.isdecimal() and not os.path.exists(f"/proc/{pid}"):
                os.unlink(os.path.join(directory, name))


def socket_path(directory: str, pid: int) -> str:
    return os.path.join(directory, f"{pid}.sock")


def candidates(pid: int) -> Iterator[str]:
    """Where the socket of that process may be. OSError when there is no such process."""
    owner = os.stat(f"/proc/{pid}").st_uid
    for directory in (
        default(),
        default(owner),
        f"/run/user/{owner}/tulle",
        "/run/tulle",
        f"/tmp/tulle-{owner}",
    ):
        yield socket_path(directory, pid)
