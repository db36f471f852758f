"""`tulle reload`: a running proxy takes its changed file, and says what came of it."""

from pathlib import Path

from tulle.proxy import pidfile
from tulle.proxy.control_socket import ask
from tulle.proxy.failure import Failure
from tulle.proxy.messages import complain, say


def run(pid_file: Path | None, pid: int | None, directory: Path | None, timeout: float) -> int:
    """The exit status: 0 when the new configuration is in use, 1 if it was refused. `timeout`: seconds."""
    outcome = ask(pid or _read(pid_file or Path()), "reload", directory, timeout)
    if not outcome["reasons"]:
        say(f"version {outcome['version']} is in use")
        return 0
    for reason in outcome["reasons"]:
        complain(reason)
    complain(f"refused; version {outcome['version']} serves on")
    return 1


def _read(path: Path) -> int:
    try:
        return pidfile.read(path)
    except OSError as error:
        raise Failure(f"cannot read the PID file {path}: {error.strerror}; is the proxy running?") from None
    except ValueError:
        raise Failure(f"{path} is no PID file: it holds something else than a number") from None
