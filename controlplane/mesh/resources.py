"""What a part of a mesh consists of: resources, each with a kind, a name and a digest of its content.

The same mesh and identity give the same part, wherever it is made: its version is a digest of them all. So a
control plane that has never seen a sidecar can tell what that has, and send it only what is different.
"""

import hashlib
from collections.abc import Mapping
from typing import NamedTuple

import msgspec

Key = tuple[str, str]  # kind and name
DIGEST_SIZE = 12  # bytes

_encoder = msgspec.msgpack.Encoder()


class Resource(NamedTuple):
    payload: bytes
    digest: bytes


def resource(content: object) -> Resource:
    """Of a struct, or of bytes as they are."""
    payload = content if isinstance(content, bytes) else _encoder.encode(content)
    return Resource(payload, hashlib.blake2b(payload, digest_size=DIGEST_SIZE).digest())


def version_of(digests: Mapping[Key, bytes]) -> str:
    """What a part with these resources is called, the same everywhere; empty for a part with none."""
    if not digests:
        return ""
    total = hashlib.blake2b(digest_size=6)
    for (kind, name), digest in sorted(digests.items()):
        total.update(f"{kind} {name}\n".encode() + digest)
    return total.hexdigest()
