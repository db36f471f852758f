"""Health checks of a real web server."""

import signal
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

from tests.proxy.conftest import Start
from tests.proxy.health.test_checks import checked, health, wait_for
from tests.proxy.running import PATIENCE, until

CONFIGURATION = """
daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/errors;
events {{ worker_connections 64; }}
http {{
  access_log {folder}/access;
  client_body_temp_path {folder}/1; proxy_temp_path {folder}/2; fastcgi_temp_path {folder}/3;
  uwsgi_temp_path {folder}/4; scgi_temp_path {folder}/5;
  server {{
    listen 127.0.0.1:{port};
    location /well {{ return 200 "well"; }}
    location /ill {{ return 503; }}
  }}
}}
"""


def test_nginx(start: Start, program: Callable[[str], str], tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    address = f"127.0.0.1:{port}"
    file = tmp_path / "nginx.conf"
    file.write_text(CONFIGURATION.format(folder=tmp_path, port=port))
    nginx = subprocess.Popen([program("nginx"), "-c", str(file)])
    try:
        until((tmp_path / "pid").exists, "nginx runs")
        proxy = start(checked([address], {"http": {"path": "/well"}})).ready()
        until(lambda: proxy.admin("/clusters")["v1"]["checks_passed"] > 5, "it is checked")
        assert health(proxy, address)["health"] == "healthy"
        proxy.reload(checked([address], {"http": {"path": "/ill"}}))
        assert wait_for(proxy, address, "unhealthy")["last_check_failure"] == "status 503"
        proxy.reload(checked([address], {"http": {"path": "/well"}}))
        wait_for(proxy, address, "healthy")
        nginx.send_signal(signal.SIGTERM)
        nginx.wait(PATIENCE)
        assert wait_for(proxy, address, "unhealthy")["last_check_failure"] == "connection refused"
    finally:
        nginx.kill()
        nginx.wait()
