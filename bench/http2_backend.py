"""The backend of scenarios with HTTP/2 to the endpoints: nginx, which answers 100 bytes from memory."""

from pathlib import Path

from bench.peers.nginx import nginx_binary
from bench.process import Failed

CONFIG = """\
daemon off;
user root;
worker_processes 1;
pid {folder}/http2-backend-{port}.pid;
error_log stderr error;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    keepalive_timeout 1h;
    keepalive_requests 1000000000;
    http2_max_concurrent_streams 256;
    default_type text/plain;
    server {{
        listen 127.0.0.1:{port} http2 backlog=4096;
        location / {{ return 200 "{body}"; }}
    }}
}}
"""


def command(port: int, folder: Path) -> list[str]:
    """What starts it in the foreground, on 127.0.0.1:`port`; its files are put into `folder`."""
    if not nginx_binary():
        raise Failed("the backend for HTTP/2 is nginx, which is not installed: apt-get install nginx-light")
    config = folder / f"http2-backend-{port}.conf"
    config.write_text(CONFIG.format(folder=folder, port=port, body="0123456789" * 10))
    return [nginx_binary(), "-p", str(folder), "-c", str(config), "-e", "stderr"]
