"""TLS for checks: as workers speak it with endpoints, by the same rules and with the same files.

A file that has changed is read with the next connection; while it cannot be used the former content goes on.
"""

import ssl
from collections.abc import Mapping
from contextlib import suppress

from tulle.controlplane.identity.stamps import stamp
from tulle.controlplane.table import TlsRow
from tulle.proxy.health.failures import HANDSHAKE, STRANGER, NotSecure
from tulle.proxy.streams import Stream

_VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
_PIECE = 16_384


class Security:
    """The rules of one cluster."""

    def __init__(self, row: TlsRow, http2: bool) -> None:
        self.row = row
        self.protocol = "h2" if http2 else "http/1.1"
        self.files = [row.ca, *(name for own in row.certificates for name in (own.certificate, own.key))]
        self.stamps: list[str] = []
        self.context: ssl.SSLContext | None = None

    async def begin(self, stream: Stream) -> "SecureStream":
        """A connection over this one, which is closed when that fails: `NotSecure` or OSError."""
        try:
            secure = SecureStream(stream, self._current(), self.row.sni or None)
            await secure.shake_hands()
            if not is_expected(self.row, secure.session.getpeercert() or {}):
                raise NotSecure(STRANGER)
        except BaseException:
            stream.close()
            raise
        return secure

    def _current(self) -> ssl.SSLContext:
        stamps = [stamp(name) for name in self.files]
        if self.context is None or stamps != self.stamps:
            try:
                self.context = _context(self.row, self.protocol)
                self.stamps = stamps
            except OSError:
                if self.context is None:
                    raise NotSecure(HANDSHAKE) from None
        return self.context


class SecureStream(Stream):
    """A `Stream` whose bytes are those in the clear."""

    def __init__(self, raw: Stream, context: ssl.SSLContext, server_name: str | None) -> None:
        super().__init__(raw.connection)
        self.received = ssl.MemoryBIO()
        self.sending = ssl.MemoryBIO()
        self.session = context.wrap_bio(self.received, self.sending, server_hostname=server_name)

    async def shake_hands(self) -> None:
        while True:
            try:
                self.session.do_handshake()
            except ssl.SSLWantReadError:
                await self._push()
                await self._pull()
            except ssl.SSLError:
                with suppress(OSError):  # the alert
                    await self._push()
                raise NotSecure(HANDSHAKE) from None
            else:
                await self._push()
                return

    async def read(self, most: int) -> bytes:
        while True:
            try:
                return self.session.read(most)
            except ssl.SSLWantReadError:
                await self._push()
                await self._pull()
            except ssl.SSLZeroReturnError:
                return b""
            except ssl.SSLError:
                raise ConnectionError from None

    async def write(self, data: bytes) -> None:
        self.session.write(data)
        await self._push()

    async def _pull(self) -> None:
        data = await super().read(_PIECE)
        if data:
            self.received.write(data)
        else:
            self.received.write_eof()

    async def _push(self) -> None:
        if self.sending.pending:
            await super().write(self.sending.read())


def _context(row: TlsRow, protocol: str) -> ssl.SSLContext:
    """OSError when a file cannot be used."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False  # names of other kinds are expected too, see `is_expected`
    context.minimum_version = _VERSIONS[row.min_version]
    context.load_verify_locations(row.ca)
    for own in row.certificates:
        context.load_cert_chain(own.certificate, own.key)
    if row.ciphers:
        context.set_ciphers(row.ciphers)
    context.set_alpn_protocols([protocol])
    return context


def is_expected(row: TlsRow, certificate: Mapping[str, object]) -> bool:
    """Whether a certificate, as `getpeercert` tells it, has one of the names (RFC 6125 section 6.4)."""
    names = certificate.get("subjectAltName", ())
    for kind, text in names:  # type: ignore[attr-defined]
        if kind == "URI" and text in row.uri:
            return True
        if kind == "DNS" and any(covers(text.lower(), name.lower()) for name in row.dns):
            return True
    return False


def covers(pattern: str, name: str) -> bool:
    """A wildcard is a whole label, the first, and stands for one."""
    if not pattern.startswith("*."):
        return pattern == name and name != ""
    first, _, rest = name.partition(".")
    return first != "" and rest == pattern[2:] and "." in rest
