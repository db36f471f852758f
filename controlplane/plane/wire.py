"""What control plane and sidecar say to each other: MessagePack of these structs, its length before each.

A sidecar opens one stream and says `Hello`, with a digest of each resource that it has in use. The control
plane answers with an `Update` from there to what it should have, and sends another whenever that changes. It
is answered with `Taken`, once it is active in all workers, or with `Refused`, and then the former serves on.
There is one update under way at a time, so that changes that come meanwhile are merged.

Structs are arrays here: fields may only be added at the end, with a default.
"""

import struct
from collections.abc import AsyncIterator, Awaitable, Callable

import msgspec
from msgspec import Struct

PATH = "/v1/sidecar"
LARGEST_TO_CONTROL = 4 << 20  # bytes of one message
LARGEST_TO_SIDECAR = 256 << 20
MOST_REASONS = 50
LONGEST_REASON = 1000  # characters

_LENGTH = struct.Struct("!I")


class Held(Struct, array_like=True, frozen=True):
    """A resource that a sidecar has in use."""

    kind: str
    name: str
    digest: bytes


class Changed(Struct, array_like=True, frozen=True):
    """A resource that is new or different."""

    kind: str
    name: str
    payload: bytes


class Hello(Struct, array_like=True, frozen=True, tag="hello"):
    """The first message of a sidecar. `node` tells apart those of one identity."""

    node: str
    held: list[Held]
    program: str = ""
    certificate_expires: float = 0.0  # seconds since 1970


class Taken(Struct, array_like=True, frozen=True, tag="taken"):
    """This version is active in all workers."""

    version: str
    certificate_expires: float = 0.0


class Refused(Struct, array_like=True, frozen=True, tag="refused"):
    """This version is not used, for these reasons; the former one is."""

    version: str
    reasons: list[str]


class Update(Struct, array_like=True, frozen=True, tag="update"):
    """From what the sidecar has in use to this version. Without `base` it is a snapshot: all else goes."""

    version: str
    base: str
    changed: list[Changed]
    removed: list[tuple[str, str]] = []


class Enrol(Struct, array_like=True, frozen=True):
    """What is sent for a first certificate. The token counts once."""

    token: str
    request: bytes  # PKCS #10 in PEM form


class Issued(Struct, array_like=True, frozen=True):
    """A certificate with its chain, and the roots of the trust domain, in PEM form; whose, and until when."""

    chain: bytes
    bundle: bytes
    identity: str
    not_after: float  # seconds since 1970


FromSidecar = Hello | Taken | Refused

_encoder = msgspec.msgpack.Encoder()
decode_from_sidecar = msgspec.msgpack.Decoder(FromSidecar).decode
decode_update = msgspec.msgpack.Decoder(Update).decode


class WireError(Exception):
    """The other side does not keep to this."""


def frame(message: Struct) -> bytes:
    payload = _encoder.encode(message)
    return _LENGTH.pack(len(payload)) + payload


async def frames(read: Callable[[], Awaitable[bytes]], largest: int) -> AsyncIterator[bytes]:
    """The messages of a stream, until its end. `read` gives some bytes, none at the end."""
    data = bytearray()
    while True:
        while len(data) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(data)
            if length > largest:
                raise WireError(f"a message of {length:,} bytes is longer than {largest:,}")
            end = _LENGTH.size + length
            if len(data) < end:
                break
            message = bytes(data[_LENGTH.size : end])
            del data[:end]
            yield message
        more = await read()
        if not more:
            if data:
                raise WireError("the stream has ended within a message")
            return
        data += more
