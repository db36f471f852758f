"""What a sidecar keeps of the mesh on disk: who it is, and the last part that all its workers had in use.

    identity.json   whose certificate it is, and when it was issued and ends
    node            tells this sidecar apart from others of its identity
    identity.pem    the certificate with its chain; .key its key, mode 0600
    bundle.pem      the roots of the trust domain
    part            the last good part; `part.new` one that is being tried

Every file is replaced as a whole. The directory is for its owner alone.
"""

import os
import secrets
import stat
from pathlib import Path

import msgspec
from msgspec import Struct

from tulle.controlplane.identity import disk
from tulle.controlplane.identity.errors import IdentityError

CERTIFICATE, KEY, BUNDLE, FACTS = "identity.pem", "identity.key", "bundle.pem", "identity.json"
NODE, PART, CANDIDATE = "node", "part", "part.new"


class SavedResource(Struct, array_like=True, frozen=True):
    kind: str
    name: str
    payload: bytes
    digest: bytes


class Facts(Struct, frozen=True):
    """What is known of the certificate. Times are seconds since 1970."""

    identity: str
    issued: float
    expires: float

    @property
    def trust_domain(self) -> str:
        return self.identity.removeprefix("spiffe://").partition("/")[0]


class SavedPart(Struct, array_like=True, frozen=True):
    """A part as it is on disk. `version` is as the control plane calls it."""

    version: str
    resources: list[SavedResource]


def read_saved(path: Path) -> SavedPart:
    """A part; one with nothing in it when there is none, or it cannot be read."""
    try:
        return msgspec.msgpack.decode(path.read_bytes(), type=SavedPart)
    except (OSError, msgspec.MsgspecError):
        return SavedPart("", [])


class StateDirectory:
    """The directory of one sidecar."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def prepare(self) -> str:
        """Make it if need be; the name of this node. IdentityError when it is not for its owner alone."""
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            found = self.folder.stat()
        except OSError as error:
            raise IdentityError(
                f"{self.folder}: cannot be made: {error.strerror}; set control_plane.state_dir"
            ) from None
        if found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o077:
            raise IdentityError(f"{self.folder}: others may open it; type: chmod 700 {self.folder}")
        path = self.folder / NODE
        try:
            return path.read_text().strip() or self._new_node(path)
        except OSError:
            return self._new_node(path)

    def _new_node(self, path: Path) -> str:
        node = secrets.token_hex(8)
        disk.write(path, node.encode(), disk.FOR_OWNER)
        return node

    def path(self, name: str) -> Path:
        return self.folder / name

    def is_enrolled(self) -> bool:
        return self.facts() is not None and all(
            self.path(name).exists() for name in (CERTIFICATE, KEY, BUNDLE)
        )

    def facts(self) -> Facts | None:
        try:
            return msgspec.json.decode(self.path(FACTS).read_bytes(), type=Facts)
        except (OSError, msgspec.MsgspecError):
            return None

    def put_identity(self, key: bytes, chain: bytes, bundle: bytes, facts: Facts) -> None:
        """The bundle first: peers may have certificates of a new root already."""
        self.put_bundle(bundle)
        disk.write(self.path(KEY), key)
        disk.write(self.path(CERTIFICATE), chain, disk.FOR_ALL)
        disk.write(self.path(FACTS), msgspec.json.encode(facts))

    def put_bundle(self, bundle: bytes) -> None:
        path = self.path(BUNDLE)
        if not path.exists() or path.read_bytes() != bundle:
            disk.write(path, bundle, disk.FOR_ALL)

    def saved(self) -> SavedPart:
        return read_saved(self.path(PART))

    def put_candidate(self, part: SavedPart) -> Path:
        path = self.path(CANDIDATE)
        disk.write(path, msgspec.msgpack.encode(part))
        return path
