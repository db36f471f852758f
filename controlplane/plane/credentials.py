"""The control plane's own certificate, and what it asks of those who connect.

It is issued by the CA that it holds, and anew when two thirds of its life are over; new connections get the
new one. The private key is in no file but for the moment in which the library reads it, in a directory of
this process alone.
"""

import os
import ssl
import tempfile
import time
from pathlib import Path

from tulle.controlplane.identity import disk
from tulle.controlplane.identity.csr import make_request
from tulle.controlplane.identity.enrolment import enrol, renew
from tulle.controlplane.identity.errors import IdentityError
from tulle.controlplane.identity.request import Identity, read_request
from tulle.controlplane.identity.spiffe import SpiffeId, parse_workload
from tulle.controlplane.identity.store import Store, open_store
from tulle.controlplane.identity.tokens import Used, check_token
from tulle.controlplane.mesh.names import CONTROL_PATH
from tulle.controlplane.plane import wire

DUE = 2 / 3  # of the life of a certificate


class Credentials:
    """A CA at work. `life` is that of the certificates that it issues, in seconds."""

    def __init__(self, folder: Path, life: float) -> None:
        self.store: Store = open_store(folder)
        self.folder = folder
        self.life = life
        self.context = self._issued()
        self.front = _context()  # of every connection, until it gets the one that is current
        self.front.sni_callback = self._use_current

    @property
    def trust_domain(self) -> str:
        return self.store.state.trust_domain

    @property
    def identity(self) -> str:
        return str(SpiffeId(self.trust_domain, CONTROL_PATH))

    def bundle(self) -> bytes:
        """The roots, as they are now."""
        self.store = open_store(self.folder)
        return self.store.bundle()

    def refresh(self, now: float) -> bytes:
        """Take another certificate when it is time, or the CA has changed; the roots."""
        bundle = self.bundle()
        if now >= self.due or bundle != self.known:
            self.context = self._issued()
        return self.known

    def enrol(self, used: Used, sent: wire.Enrol, now: float) -> wire.Issued:
        """IdentityError when the token or the request is refused."""
        claims = check_token(self.store.secret(), sent.token, now)
        _refuse_own(claims.identity)
        issued = enrol(self.store, used, sent.token, sent.request, now, self.life)
        return wire.Issued(issued.pem, self.bundle(), claims.identity, issued.not_after)

    def renew(self, identity: str, dns_names: tuple[str, ...], request: bytes, now: float) -> wire.Issued:
        """For who has shown a certificate of this identity."""
        _refuse_own(identity)
        current = Identity(parse_workload(identity), dns_names)
        issued = renew(self.store, current, request, now, self.life)
        return wire.Issued(issued.pem, self.bundle(), identity, issued.not_after)

    def _issued(self) -> ssl.SSLContext:
        """A new certificate, and who may connect now."""
        context = _context()
        now = time.time()
        key, request = make_request()
        identity = Identity(SpiffeId(self.trust_domain, CONTROL_PATH))
        issued = self.store.issue(read_request(request), identity, now, self.life)
        self.known = self.store.bundle()
        self.due = now + (issued.not_after - now) * DUE
        self.expires = issued.not_after
        with tempfile.TemporaryDirectory(prefix="tulle-control-") as folder:  # mode 0700
            path = Path(folder) / "own.pem"
            disk.write(path, key + issued.pem)
            context.load_cert_chain(path)
            os.truncate(path, 0)
        context.load_verify_locations(cadata=self.known.decode())
        return context

    def _use_current(self, connection: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> None:
        connection.context = self.context


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["h2"])
    context.num_tickets = 0  # connections are long, and none is resumed
    # those who enrol have no certificate; who may do what without one is decided by request
    context.verify_mode = ssl.CERT_OPTIONAL
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    return context


def _refuse_own(identity: str) -> None:
    if parse_workload(identity).path == CONTROL_PATH:
        raise IdentityError(f"{identity} is the control plane's own, and nobody else's")
