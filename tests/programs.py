"""Programs that others wrote, as peers on loopback. What a test asks for is put into their configuration."""

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests._fast.flow.peers import PATIENCE
from tests._fast.flow.sidecar import until

NGINX = """
daemon off;
master_process off;
error_log stderr warn;
pid {folder}/nginx.pid;
events {{ worker_connections 512; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    {http}
}}
"""
HAPROXY = """
defaults
    mode {mode}
    timeout connect 5s
    timeout client 5s
    timeout server 5s
frontend in
    bind fd@{listening} {sections}
"""


@contextmanager
def nginx(program: str, folder: Path, http: str) -> Iterator[subprocess.Popen[bytes]]:
    """It listens; `http` is what the block of that name has beside its paths."""
    config, errors, pid = folder / "nginx.conf", folder / "error.log", folder / "nginx.pid"
    config.write_text(NGINX.format(folder=folder, http=http))
    command = [program, "-p", str(folder), "-c", str(config), "-e", str(errors)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        # It writes its number once all of its sockets listen
        until(lambda: pid.exists() or process.poll() is not None, "nginx listens")
        assert process.poll() is None, errors.read_text()
        yield process
    finally:
        _end(process)


@contextmanager
def haproxy(program: str, folder: Path, mode: str, sections: str) -> Iterator[tuple[str, int]]:
    """Where its frontend listens; `sections` are the options of that place, and what follows."""
    config = folder / "haproxy.cfg"
    with socket.create_server(("127.0.0.1", 0)) as listening:
        number = listening.fileno()
        config.write_text(HAPROXY.format(mode=mode, listening=number, sections=sections))
        process = subprocess.Popen([program, "-db", "-q", "-f", str(config)], pass_fds=[number])
        try:
            yield listening.getsockname()
        finally:
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise


def h2load(program: str, url: str, asked: int, *options: str) -> str:
    """Ask so many times, and get as many answers; what it said."""
    shown = subprocess.run(
        [program, f"-n{asked}", "-t1", *options, url], capture_output=True, text=True, check=True
    ).stdout
    assert f"{asked} done, {asked} succeeded, 0 failed, 0 errored, 0 timeout" in shown, shown
    return shown
