"""Certificates of a small mesh: one root, and whoever a test needs with a certificate from it."""

import ssl
import time
from pathlib import Path

from tests.controlplane.identity.making import CLIENT, SERVER, Made, make, write

DAY = 86400.0
CLIENT_ID = "spiffe://example.org/ns/shop/sa/cart"
SERVER_ID = "spiffe://example.org/ns/shop/sa/stock"


class Papers:
    """Issues certificates into files of one folder."""

    def __init__(self, folder: Path, name: str = "root") -> None:
        self.folder = folder
        self.root = self._make(name, None, ca=True)
        self.ca = write(folder / f"{name}.pem", self.root)

    def _make(self, name: str, issuer: Made | None, *, ca: bool = False, names: tuple[str, ...] = (),
              begins: float = -DAY, ends: float = DAY) -> Made:  # fmt: skip
        now = time.time()
        extended = None if ca else (SERVER, CLIENT)
        return make(
            name, issuer, ca=ca, names=names, begins=now + begins, ends=now + ends, extended=extended,
            usage=("key_cert_sign", "crl_sign") if ca else ("digital_signature",),
        )  # fmt: skip

    def issue(
        self, name: str, *names: str, begins: float = -DAY, ends: float = DAY, issuer: Made | None = None
    ) -> tuple[str, str]:
        """A certificate with these alternative names: its file and that of its key. Times count from now.

        Each is put in place as a whole: who watches the files of a former one reads no half of a new one.
        """
        made = self._make(name, issuer or self.root, names=names, begins=begins, ends=ends)
        key, certificate = self.folder / f"{name}.key", self.folder / f"{name}.crt"
        for file, content in ((key, made.key_pem), (certificate, made)):
            Path(write(file.with_suffix(".draft"), content)).replace(file)
        return str(certificate), str(key)


def client_context(ca: str, pair: tuple[str, str] | None = None) -> ssl.SSLContext:
    """Of a client that believes the CA and shows this certificate."""
    context = ssl.create_default_context(cafile=ca)
    if pair:
        context.load_cert_chain(*pair)
    return context


def server_context(pair: tuple[str, str], client_ca: str | None = None) -> ssl.SSLContext:
    """Of a server; with a CA it wants a certificate of clients."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*pair)
    if client_ca:
        context.load_verify_locations(client_ca)
        context.verify_mode = ssl.CERT_REQUIRED
    return context
