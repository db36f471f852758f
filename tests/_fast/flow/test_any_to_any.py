"""Each protocol of clients to each of endpoints, plain and over TLS; programs of others on both sides."""

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests._fast.flow.papers import Papers
from tests._fast.flow.sidecar import Sidecar
from tests.programs import h2load, nginx

Program = Callable[[str], str]

HTTP = """
    client_max_body_size 0;
    client_body_buffer_size 4m;
    keepalive_requests 50;
    ssl_certificate {certificate};
    ssl_certificate_key {key};
    types {{ }}
    default_type text/plain;
    server {{
        listen unix:{folder}/inner;
        location / {{ return 200 "$http_x_seen"; }}
    }}
"""
SERVER = """
    server {{
        listen unix:{folder}/{name}.sock {options};
        location ~ /large$ {{ root {folder}/www; try_files /large =404; }}
        location ~ /echo$ {{
            proxy_set_header X-Seen "$request_method $content_length $server_protocol $scheme";
            proxy_pass http://unix:{folder}/inner:;
        }}
    }}
"""
SERVERS = {"h1": "", "h2": "http2", "h1-tls": "ssl", "h2-tls": "ssl http2"}
# protocol of the cluster, nginx's server, and what it then has to say of itself
CLUSTERS = {
    "h1": ("http1", "h1", "HTTP/1.1 http"),
    "h2": ("http2", "h2", "HTTP/2.0 http"),
    "h1-tls": ("http1", "h2-tls", "HTTP/1.1 https"),
    "h2-tls": ("http2", "h2-tls", "HTTP/2.0 https"),
    "auto-h1": ("auto", "h1-tls", "HTTP/1.1 https"),
    "auto-h2": ("auto", "h2-tls", "HTTP/2.0 https"),
}
CLIENTS = {
    "h1": ("http", "--http1.1", "1.1"),
    "h2": ("http", "--http2-prior-knowledge", "2"),
    "h1-tls": ("https", "--http1.1", "1.1"),
    "h2-tls": ("https", "--http2", "2"),
}
LARGE = 300_000


class House:
    """nginx behind a sidecar with a plain listener and one of TLS; the path names the cluster."""

    def __init__(self, folder: Path, papers: Papers) -> None:
        certificate, key = papers.issue("front", "DNS:localhost")
        self.large = folder / "www" / "large"
        clusters: dict[str, Any] = {}
        for name, (protocol, server, _) in CLUSTERS.items():
            clusters[name] = {
                "protocol": protocol,
                "endpoints": [{"address": f"unix:{folder}/{server}.sock"}],
                "connection_pool": {"max_connection_age": "1s"},
            }
            if server.endswith("-tls"):
                clusters[name]["tls"] = {"ca": papers.ca, "sni": "nginx.example"}
        self.ca = papers.ca
        self.sidecar = Sidecar(
            {
                "workers": 2,
                "listeners": [
                    {"name": "plain", "address": "127.0.0.1:0", "routes": "main"},
                    {
                        "name": "tls", "address": "127.0.0.2:0", "routes": "main",
                        "tls": {"certificate": certificate, "key": key},
                    },
                ],
                "routes": {
                    "main": [
                        {
                            "name": name,
                            "matches": [{"path": {"prefix": f"/{name}"}}],
                            "backends": [{"cluster": name}],
                        }
                        for name in CLUSTERS
                    ]
                },
                "clusters": clusters,
            },
            folder,
        )  # fmt: skip

    def url(self, scheme: str, path: str) -> tuple[str, list[str]]:
        """And what curl has to be told beside it."""
        address = "127.0.0.1" if scheme == "http" else "127.0.0.2"
        port = self.sidecar.ports[address]
        url = f"{scheme}://localhost:{port}{path}"
        return url, ["--resolve", f"localhost:{port}:{address}", "--cacert", self.ca]


@pytest.fixture(scope="module")
def house(program: Program, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("house")
    papers = Papers(folder)
    certificate, key = papers.issue("nginx", "DNS:nginx.example")
    (folder / "www").mkdir()
    (folder / "www" / "large").write_bytes(os.urandom(LARGE))
    http = HTTP.format(folder=folder, certificate=certificate, key=key)
    for name, options in SERVERS.items():
        http += SERVER.format(folder=folder, name=name, options=options)
    with nginx(program("nginx"), folder, http):
        made = House(folder, papers)
        yield made
        made.sidecar.wait_for("requests_active", 0)
        made.sidecar.stop()


@pytest.mark.parametrize("cluster", CLUSTERS)
@pytest.mark.parametrize("client", CLIENTS)
def test_down_and_up(program: Program, house: House, tmp_path: Path, client: str, cluster: str) -> None:
    scheme, option, version = CLIENTS[client]
    upload = tmp_path / "upload"
    upload.write_bytes(bytes(LARGE))
    common = [program("curl"), "-sS", "--max-time", "30", option, "-w", "|%{http_version}|%{http_code}"]
    url, more = house.url(scheme, f"/{cluster}/large")
    got = subprocess.run([*common, *more, url], capture_output=True, check=True).stdout
    assert got == house.large.read_bytes() + f"|{version}|200".encode()
    url, more = house.url(scheme, f"/{cluster}/echo")
    got = subprocess.run([*common, *more, "-T", str(upload), url], capture_output=True, check=True).stdout
    assert got.decode() == f"PUT {LARGE} {CLUSTERS[cluster][2]}|{version}|200"


@pytest.mark.parametrize("cluster", ["h1", "h2", "auto-h1", "auto-h2"])
def test_h2load_over_tls_gets_every_answer(program: Program, house: House, cluster: str) -> None:
    """nginx ends its connections after 50 requests each, and the sidecar its own by their age."""
    port = house.sidecar.ports["127.0.0.2"]
    url = f"https://127.0.0.2:{port}/{cluster}/echo"
    shown = h2load(program("h2load"), url, 1000, "-c4", "-m10")
    assert "status codes: 1000 2xx" in shown, shown
    assert "Application protocol: h2" in shown
