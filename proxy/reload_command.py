"""`tulle reload`: a running proxy takes its changed file, and says what came of it."""

import json
import socket
from typing import Any

from tulle.proxy import pidfile, runtime_dir
from tulle.proxy.failure import Failure
from tulle.proxy.messages import complain, say


def run(pid_file: str | None, pid: int | None, directory: str | None, timeout: float) -> int:
    """The exit status: 0 when the new configuration is in use, 1 if it was refused. `timeout`: seconds."""
    outcome = ask(pid or _read(pid_file or ""), "reload", directory, timeout)
    if not outcome["reasons"]:
        say(f"version {outcome['version']} is in use")
        return 0
    for reason in outcome["reasons"]:
        complain(reason)
    complain(f"refused; version {outcome['version']} serves on")
    return 1


def ask(pid: int, command: str, directory: str | None, timeout: float) -> dict[str, Any]:
    """Ask the proxy of that PID over its control socket, see `control_socket`.

    `Failure` when there is none, or it does not answer in `timeout` seconds.
    """
    try:
        paths = [runtime_dir.socket_path(directory, pid)] if directory else list(runtime_dir.candidates(pid))
    except OSError:
        raise Failure(f"no process has the PID {pid}; is the proxy running?") from None
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(timeout)
        _connect(connection, pid, list(dict.fromkeys(paths)))
        try:
            connection.sendall(json.dumps({"command": command}).encode() + b"\n")
            with connection.makefile("rb") as answers:
                line = answers.readline()
        except TimeoutError:
            raise Failure(f"the proxy {pid} has not answered in {timeout:g} s") from None
        except OSError as error:
            raise Failure(f"the proxy {pid} has broken off: {error.strerror}") from None
    if not line:
        raise Failure(f"the proxy {pid} has left without an answer")
    answer: dict[str, Any] = json.loads(line)
    if "error" in answer:
        raise Failure(f"the proxy {pid} does not know {command!r}: is it of another version?")
    return answer


def _connect(connection: socket.socket, pid: int, paths: list[str]) -> None:
    for path in paths:
        try:
            connection.connect(path)
            return
        except PermissionError:
            raise Failure(f"no permission for {path}; run this as the proxy's user or as root") from None
        except OSError:
            continue
    raise Failure(
        f"no proxy answers for PID {pid}; tried {', '.join(paths)}",
        "if its configuration sets runtime_dir, say --runtime-dir; `kill -HUP` works without an answer",
    )


def _read(path: str) -> int:
    try:
        return pidfile.read(path)
    except OSError as error:
        raise Failure(f"cannot read the PID file {path}: {error.strerror}; is the proxy running?") from None
    except ValueError:
        raise Failure(f"{path} is no PID file: it holds something else than a number") from None
