"""Health checks of a real web server."""

import socket
from collections.abc import Callable
from pathlib import Path

from tests.programs import nginx
from tests.proxy.conftest import Start
from tests.proxy.health.endpoints import checked, health, wait_for
from tests.proxy.running import PATIENCE, until

HTTP = """
    server {{
        listen 127.0.0.1:{port};
        location /well {{ return 200 "well"; }}
        location /ill {{ return 503; }}
    }}
"""


def test_nginx(start: Start, program: Callable[[str], str], tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    address = f"127.0.0.1:{port}"
    with nginx(program("nginx"), tmp_path, HTTP.format(port=port)) as server:
        proxy = start(checked([address], {"http": {"path": "/well"}})).ready()
        until(lambda: proxy.admin("/clusters")["v1"]["checks_passed"] > 5, "it is checked")
        assert health(proxy, address)["health"] == "healthy"
        proxy.reload(checked([address], {"http": {"path": "/ill"}}))
        assert wait_for(proxy, address, "unhealthy")["last_check_failure"] == "status 503"
        proxy.reload(checked([address], {"http": {"path": "/well"}}))
        wait_for(proxy, address, "healthy")
        server.terminate()
        server.wait(PATIENCE)
        assert wait_for(proxy, address, "unhealthy")["last_check_failure"] == "connection refused"
