"""A connection to a control plane, of which is known for sure that it is one.

By a certificate of the trust domain's control plane (`CONTROL_PATH`), issued below the roots that are known.
A sidecar that enrols knows only what its token says, which names the roots: so it first asks for the roots,
and believes those that the token names.
"""

import asyncio
import contextlib
import hashlib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

from tulle.controlplane.address import SocketAddress
from tulle.controlplane.client.pem import certificates_of
from tulle.controlplane.mesh.names import CONTROL_PATH
from tulle.controlplane.plane.http2 import Connection, Lost

PATIENCE = 10.0  # seconds to connect, and for an answer
FAREWELL = 1.0  # seconds for a connection to end well


class DialError(Exception):
    """The control plane cannot be reached, or is another than it should be."""


def mutual(bundle: Path, certificate: Path, key: Path) -> ssl.SSLContext:
    """For who has a certificate. DialError when the files cannot be used."""
    context = _context()
    try:
        context.load_verify_locations(bundle)
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise DialError(f"{certificate}: cannot be used: {error}") from None
    return context


def knowing(bundle: bytes) -> ssl.SSLContext:
    """For who has no certificate yet and knows the roots."""
    context = _context()
    context.load_verify_locations(cadata=bundle.decode())
    return context


def trusting() -> ssl.SSLContext:
    """For asking for the roots, which is all that may be done with it."""
    context = _context()
    context.verify_mode = ssl.CERT_NONE
    return context


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False  # who it is, is its SPIFFE id
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.set_alpn_protocols(["h2"])
    return context


@contextlib.asynccontextmanager
async def connection(
    address: SocketAddress, context: ssl.SSLContext | None, trust_domain: str = ""
) -> AsyncIterator[Connection]:
    """A connection while it is needed. `trust_domain` empty: whoever it is, as `trusting` says."""
    try:
        async with asyncio.timeout(PATIENCE):
            if address.port is None:
                reader, writer = await asyncio.open_unix_connection(address.host)
            else:
                reader, writer = await asyncio.open_connection(address.host, address.port, ssl=context)
    except TimeoutError:
        raise DialError(f"{address}: does not answer within {PATIENCE:.0f} s") from None
    except (OSError, ssl.SSLError) as error:
        raise DialError(f"{address}: {reason(error)}") from None
    own = Connection(reader, writer)
    running = None
    try:
        if trust_domain:
            _check(writer, address, trust_domain)
        running = asyncio.create_task(own.run())
        yield own
    finally:
        if running is None:
            writer.close()
        else:
            own.close("done")
            await asyncio.wait((running,), timeout=FAREWELL)
            running.cancel()


def _check(writer: asyncio.StreamWriter, address: SocketAddress, trust_domain: str) -> None:
    shown = writer.get_extra_info("peercert") or {}
    uris = [value for kind, value in shown.get("subjectAltName", ()) if kind == "URI"]
    wanted = f"spiffe://{trust_domain}{CONTROL_PATH}"
    if uris != [wanted]:
        raise DialError(f"{address}: is {', '.join(uris) or 'nobody'}, and not {wanted}")


async def ask(
    own: Connection,
    method: str,
    path: str,
    body: bytes = b"",
    most: int = 64 << 20,
    patience: float = PATIENCE,
) -> tuple[int, bytes]:
    """Status and body of one request. DialError when there is no answer."""
    try:
        async with asyncio.timeout(patience):
            stream = own.request(method, path, "control", end=not body)
            if body:
                await stream.send(body, end=True)
            status = await stream.answered()
            return status, await stream.read_all(most)
    except TimeoutError:
        raise DialError(f"no answer within {patience:.0f} s") from None
    except Lost as error:
        raise DialError(str(error)) from None


async def roots(address: SocketAddress, fingerprints: tuple[str, ...]) -> bytes:
    """The trust domain's roots: those of the control plane there that a token names. DialError for others."""
    async with connection(address, trusting()) as own:
        status, bundle = await ask(own, "GET", "/v1/bundle", most=1 << 20)
    if status != 200:
        raise DialError(f"{address}: does not tell its roots: status {status}")
    known = [
        pem for pem in certificates_of(bundle)
        if fingerprint(pem) in fingerprints
    ]  # fmt: skip
    if not known:
        raise DialError(f"{address}: is the control plane of another mesh: the join token names other roots")
    return "".join(known).encode()


def fingerprint(pem: str) -> str:
    """As `CertificateFacts` has it."""
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).digest().hex(":").upper()


def reason(error: Exception) -> str:
    """What a failed connection says, for people."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not good: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS has failed: {(error.reason or str(error)).lower().replace('_', ' ')}"
    return getattr(error, "strerror", None) or str(error)
