"""A proxy in processes of its own, as people run it, and a backend for it."""

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from tests.servers import QuietServer

ROOT = Path(__file__).parents[2]
PATIENCE = 30.0  # seconds, also under sanitizers and on a busy machine


def until(condition: Callable[[], Any], what: str, seconds: float = PATIENCE) -> Any:
    """Wait for what other processes bring about; what the condition gave."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, f"not within {seconds:g} s: {what}"
        time.sleep(0.002)
    return found


class Backend:
    """Answers every request with its name, but

    /held      waits until `go`
    /events    is a stream without end, of what `emit` is given
    /echo      becomes a tunnel, which sends back what it gets
    """

    def __init__(self, name: str = "backend") -> None:
        self.held = 0
        self.go = threading.Event()
        self.streams: list[SimpleQueue[bytes]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # head and body are two segments (RFC 896)

            def do_GET(self) -> None:
                if self.path == "/held":
                    outer.held += 1
                    assert outer.go.wait(PATIENCE)
                if self.path == "/events":
                    self.stream()
                elif self.path == "/echo":
                    self.echo()
                else:
                    self.answer()

            def answer(self) -> None:
                self.send_response(200)
                self.send_header("content-length", str(len(name)))
                self.end_headers()
                self.wfile.write(name.encode())

            def stream(self) -> None:
                events: SimpleQueue[bytes] = SimpleQueue()
                self.send_response(200)
                self.send_header("content-type", "text/event-stream")
                self.send_header("transfer-encoding", "chunked")
                self.end_headers()
                outer.streams.append(events)
                while event := events.get():
                    self.wfile.write(b"%x\r\n%s\r\n" % (len(event), event))
                self.wfile.write(b"0\r\n\r\n")

            def echo(self) -> None:
                self.send_response(101)
                self.send_header("connection", "upgrade")
                self.send_header("upgrade", "echo")
                self.end_headers()
                while data := self.rfile.read1(65536):  # type: ignore[attr-defined]
                    self.wfile.write(data)
                self.close_connection = True

            def log_message(self, *words: Any) -> None:
                pass

        self.server = QuietServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def emit(self, event: bytes) -> None:
        """Send this to all who have asked for /events; nothing ends their streams."""
        for events in self.streams:
            events.put(event)

    def close(self) -> None:
        self.go.set()
        self.emit(b"")
        self.server.shutdown()
        self.server.server_close()


def config(endpoints: Iterable[str], **sections: Any) -> dict[str, Any]:
    """One listener, one route and one cluster, and an admin server, all on ports that are free."""
    return {
        "workers": 1,
        "drain_timeout": "10s",
        "admin": {"address": "127.0.0.1:0"},
        "listeners": [{"name": "web", "address": "127.0.0.1:0", "routes": "main"}],
        "routes": {"main": [{"name": "all", "backends": [{"cluster": "v1"}]}]},
        "clusters": {"v1": {"endpoints": [{"address": address} for address in endpoints]}},
        **sections,
    }


class Proxy:
    """`tulle proxy` with this configuration, or none, and these words. `folder` gets all that it writes."""

    def __init__(
        self,
        folder: Path,
        configuration: dict[str, Any] | None,
        *words: str,
        environment: dict[str, str] | None = None,
        before: Callable[[], None] | None = None,
        directory: Path = ROOT,
    ) -> None:
        """`directory` is where the program is found."""
        self.folder = folder
        self.file = folder / "tulle.json"
        self.runtime = folder / "run"
        self.errors = folder / "stderr"
        self.output = folder / "stdout"
        given: list[str] = []
        if configuration is not None:
            self.write(configuration)
            given = ["-c", str(self.file)]
        with self.errors.open("ab") as errors, self.output.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tulle", "proxy", *given, *words],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                cwd=directory,
                env={**os.environ, "XDG_RUNTIME_DIR": str(self.runtime), **(environment or {})},
                start_new_session=True,
                preexec_fn=before,
            )

    def write(self, configuration: dict[str, Any]) -> None:
        draft = self.file.with_suffix(".draft")
        draft.write_text(json.dumps(configuration))
        draft.replace(self.file)

    # -- what it says -------------------------------------------------------------------------------------

    @property
    def pid(self) -> int:
        return self.process.pid

    def said(self) -> str:
        return self.errors.read_text(errors="replace")

    def wait_for(self, text: str, times: int = 1) -> "Proxy":
        """Until it has said this so often."""

        def there() -> bool:
            found = self.said().count(text) >= times
            assert found or self.process.poll() is None, f"it has ended without {text!r}:\n{self.said()}"
            return found

        until(there, f"{text!r}, {times} times, in:\n{self.said()}")
        return self

    def ready(self) -> "Proxy":
        return self.wait_for("ready: ")

    def place(self, name: str) -> tuple[str, int]:
        """Where a listener is, or `admin`."""
        host, port = re.findall(rf"; {name} ([^;\s]+):(\d+)", self.said())[-1]
        return host, int(port)

    # -- what it does -------------------------------------------------------------------------------------

    def get(self, path: str = "/", name: str = "web", method: str = "GET") -> tuple[int, bytes]:
        """Status and body of a request on a connection of its own."""
        connection = http.client.HTTPConnection(*self.place(name), timeout=PATIENCE)
        try:
            connection.request(method, path)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def admin(self, path: str) -> Any:
        """An admin page as JSON."""
        status, body = self.get(f"{path}?format=json", "admin")
        assert status == 200, body
        return json.loads(body)

    def workers(self) -> list[int]:
        """PIDs of those that serve. Tests kill them, so none may be 0: that would be the tests themselves."""
        workers = self.admin("/server_info")["workers"]
        pids = [worker["pid"] for worker in workers if worker["state"] == "ready"]
        assert all(pid > 1 for pid in pids), workers
        return pids

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def reload(self, configuration: dict[str, Any]) -> None:
        done = self.said().count("reloaded: ")
        self.write(configuration)
        self.signal(signal.SIGHUP)
        self.wait_for("reloaded: ", done + 1)

    def ended(self) -> int:
        """Its exit status, once it has left."""
        return self.process.wait(PATIENCE)

    def session(self) -> list[int]:
        """All its processes that there still are."""
        found = []
        for place in Path("/proc").glob("[0-9]*"):
            try:
                fields = (place / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[3]) == self.pid and fields[0] != "Z":
                found.append(int(place.name))
        return found

    def gone(self) -> bool:
        """Whether it has left nothing behind, soon."""
        until(lambda: not self.session(), f"processes that stay: {self.session()}\n{self.said()}")
        return not list(self.runtime.glob("**/*.sock"))

    def end(self) -> None:
        """At once, whatever it is doing."""
        for pid in self.session():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self.process.wait(PATIENCE)
