"""Two sidecars with mutual TLS between them: client, plain, A, TLS, B, plain, backend."""

from pathlib import Path
from typing import Any

from tests._fast.flow.papers import CLIENT_ID, SERVER_ID, Papers
from tests._fast.flow.sidecar import Sidecar


def get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nhost: shop.example\r\n\r\n".encode()


class Mesh:
    """The pair, and their papers, which can be issued anew."""

    def __init__(
        self,
        folder: Path,
        backend: str,
        library: str = "cryptography",
        protocol: str = "http1",
        **inner: Any,
    ) -> None:
        """`protocol` is spoken between the two; `inner` are sections of B."""
        self.folder = folder
        self.papers = Papers(folder)
        self.issue()
        for name in ("a", "b"):
            (folder / name).mkdir()
        self.inner: dict[str, Any] = {
            "workers": 1,
            "tls": {"library": library},
            "listeners": [{
                "name": "mesh", "address": "127.0.0.1:0", "routes": "main",
                "tls": {
                    "certificate": str(folder / "stock.crt"), "key": str(folder / "stock.key"),
                    "client_ca": self.papers.ca,
                },
            }],
            "routes": {"main": [{"name": "all", "backends": [{"cluster": "app"}]}]},
            "clusters": {"app": {"endpoints": [{"address": backend}]}},
            "access_log": {"path": str(folder / "b" / "access.log"), "format": "json"},
            **inner,
        }  # fmt: skip
        self.b = Sidecar(self.inner, folder / "b")
        self.outer: dict[str, Any] = {
            "workers": 1,
            "tls": {"library": library},
            "listeners": [{"name": "out", "address": "127.0.0.1:0", "routes": "main"}],
            "routes": {"main": [{"name": "all", "backends": [{"cluster": "stock"}]}]},
            "clusters": {"stock": {
                "protocol": protocol,
                "endpoints": [{"address": f"127.0.0.1:{self.b.ports['127.0.0.1']}"}],
                "tls": {
                    "ca": self.papers.ca, "certificate": str(folder / "cart.crt"),
                    "key": str(folder / "cart.key"), "verify": {"uri": [SERVER_ID]},
                },
            }},
        }  # fmt: skip
        self.a = Sidecar(self.outer, folder / "a")

    def issue(self) -> None:
        """New certificates in the same files."""
        self.papers.issue("stock", f"URI:{SERVER_ID}")
        self.papers.issue("cart", f"URI:{CLIENT_ID}")

    def close(self) -> None:
        self.a.stop()
        self.b.stop()
