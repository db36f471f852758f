"""A certificate authority on disk: its directory, and how one root gives way to another.

    ca.json                 which certificates are in use; replaced last, as a whole: so every change counts
                            whole or not at all
    root-N.pem .key         roots; the key may be kept elsewhere when no intermediate is to be made
    intermediate-N.pem .key what signs
    bundle.pem              all roots that are trusted, for those who verify
    join.secret             by which join tokens are made and known again

The directory has mode 0700 and the keys 0600, and both are refused when others could read them. Files with a
number are never changed. A root is replaced in three steps, so that at no time somebody shows a certificate
that another cannot verify: `add` puts the new one into the bundle; `use` signs by it, once every bundle that
is in use has both; `drop` takes the old one out, once no certificate of it is alive.

Needs the `cryptography` package.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import msgspec
from cryptography import x509

from tulle.controlplane.identity import authority, disk, keys
from tulle.controlplane.identity.authority import Issued, Signer
from tulle.controlplane.identity.errors import IdentityError
from tulle.controlplane.identity.facts import DAY, CertificateFacts, span
from tulle.controlplane.identity.inspect import facts_of, public_bytes
from tulle.controlplane.identity.request import Identity, Request
from tulle.controlplane.identity.spiffe import check_trust_domain
from tulle.controlplane.identity.tokens import make_secret

STATE = "ca.json"
BUNDLE = "bundle.pem"
SECRET = "join.secret"
LONGEST_LEAF_LIFE = 30 * DAY
Step = Literal["add", "use", "drop"]


class State(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `ca.json` has. Names are of files without their ending."""

    trust_domain: str
    key_kind: str
    longest_life: float  # seconds, of leaves
    roots: tuple[str, ...]  # those that are trusted, the oldest first
    signing_root: str
    intermediate: str
    used_since: float  # when the signing root began to be used, in seconds since 1970
    layout: int = 1


class Shown(msgspec.Struct, frozen=True):
    """A certificate of the CA, and what it is there for."""

    role: str  # signing root, trusted root, intermediate
    file: str
    facts: CertificateFacts


class Store:
    """One authority. Reading it takes no lock: `ca.json` is of one piece, and what it names stays."""

    def __init__(self, folder: Path, state: State) -> None:
        self.folder = folder
        self.state = state

    # -- use ----------------------------------------------------------------------------------------------

    def issue(
        self, request: Request, allowed: Identity, now: float, life: float = authority.LEAF_LIFE
    ) -> Issued:
        """A certificate by the intermediate; see `authority.issue`."""
        if life > self.state.longest_life:
            raise IdentityError(
                f"a certificate of this CA may live for {span(self.state.longest_life)} at most, not for"
                f" {span(life)}; ask for less, or see `tulle ca init --longest-life`"
            )
        signer = self._signer(self.state.intermediate)
        return authority.issue(signer, self.state.trust_domain, request, allowed, now, life)

    def bundle(self) -> bytes:
        """All trusted roots, in PEM form."""
        return authority.to_pem([self._certificate(name) for name in self.state.roots])

    def secret(self) -> bytes:
        """That of join tokens."""
        return disk.read_secret(self.folder / SECRET)

    def intermediate(self) -> CertificateFacts:
        return facts_of(self._certificate(self.state.intermediate))

    def shown(self) -> Iterator[Shown]:
        """Every certificate in use, roots first."""
        for name in (*self.state.roots, self.state.intermediate):
            role = "signing root" if name == self.state.signing_root else "trusted root"
            if name == self.state.intermediate:
                role = "intermediate"
            yield Shown(role, f"{name}.pem", facts_of(self._certificate(name)))

    def _certificate(self, name: str) -> x509.Certificate:
        path = self.folder / f"{name}.pem"
        try:
            return x509.load_pem_x509_certificate(path.read_bytes())
        except OSError as error:
            raise IdentityError(f"{path}: cannot be read: {error.strerror}") from None
        except ValueError:
            raise IdentityError(f"{path}: is damaged; put it back from a copy") from None

    def _signer(self, name: str) -> Signer:
        path = self.folder / f"{name}.key"
        certificate = self._certificate(name)
        try:
            key = keys.from_pem(disk.read_secret(path))
        except ValueError as error:
            raise IdentityError(f"{path}: {error}; put it back from a copy") from None
        if public_bytes(key.public_key()) != public_bytes(certificate.public_key()):
            raise IdentityError(f"{path}: is not the key of {name}.pem; put the right one back from a copy")
        return Signer(certificate, key)

    # -- change -------------------------------------------------------------------------------------------

    def renew_intermediate(self, now: float) -> None:
        """Sign by a new intermediate of the same root from now on."""
        with self._changing():
            name, root = self._unused("intermediate"), self._signer(self.state.signing_root)
            key = keys.generate(self.state.key_kind)
            _put(self.folder, name, authority.make_intermediate(self.state.trust_domain, root, key, now))
            self._commit(intermediate=name)

    def change_root(self, step: Step, now: float, force: bool = False) -> None:
        """One step from one root to another. IdentityError when it is not its turn, or too early."""
        with self._changing():
            self._check_turn(step)
            if step == "add":
                name = self._unused("root")
                key = keys.generate(self.state.key_kind)
                _put(self.folder, name, authority.make_root(self.state.trust_domain, key, now))
                self._commit(roots=(*self.state.roots, name))
            elif step == "use":
                name, root = self._unused("intermediate"), self.state.roots[-1]
                key = keys.generate(self.state.key_kind)
                signer = authority.make_intermediate(self.state.trust_domain, self._signer(root), key, now)
                _put(self.folder, name, signer)
                self._commit(signing_root=root, intermediate=name, used_since=now)
            else:
                left = self.state.used_since + self.state.longest_life - now
                if left > 0 and not force:
                    raise IdentityError(
                        f"{self.folder}: certificates of {self.state.roots[0]} may be alive for another"
                        f" {span(left)}, and would not be trusted any more; wait, or say --force"
                    )
                self._commit(roots=(self.state.signing_root,))

    def _check_turn(self, step: Step) -> None:
        state = self.state
        turn: Step = "add"
        if len(state.roots) > 1:
            turn = "drop" if state.signing_root == state.roots[-1] else "use"
        if step != turn:
            raise IdentityError(
                f"{self.folder}: it is not time to `{step}` a root, for the next step is `{turn}`:"
                f" tulle ca rotate {self.folder} --root {turn}"
            )

    def _unused(self, role: str) -> str:
        """A name that no file has, also none that a change left which did not come to its end."""
        taken = {path.stem for path in self.folder.iterdir()}
        return next(f"{role}-{n}" for n in range(1, len(taken) + 2) if f"{role}-{n}" not in taken)

    def _commit(self, **changes: object) -> None:
        self.state = msgspec.structs.replace(self.state, **changes)
        _write_state(self.folder, self.state)
        disk.write(self.folder / BUNDLE, self.bundle(), disk.FOR_ALL)

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """One change at a time, from what is there now."""
        descriptor = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            self.state = _read_state(self.folder)
            yield
        finally:
            os.close(descriptor)


def open_store(folder: Path) -> Store:
    """The authority in a directory. IdentityError when there is none, or others could read it."""
    if not (folder / STATE).exists() and folder.exists():
        raise IdentityError(
            f"{folder}: there is no certificate authority in it; make one: tulle ca init {folder}"
        )
    disk.check_directory(folder)
    return Store(folder, _read_state(folder))


def create_store(
    folder: Path,
    trust_domain: str,
    now: float,
    key_kind: str = "ec-p256",
    longest_life: float = LONGEST_LEAF_LIFE,
) -> Store:
    """Make an authority in a directory that is not there yet, or empty; whole or not at all."""
    try:
        check_trust_domain(trust_domain)
    except ValueError as error:
        raise IdentityError(str(error)) from None
    if (folder / STATE).exists():
        raise IdentityError(
            f"{folder}: there is a certificate authority already; see `tulle ca show {folder}`, or take"
            " another directory"
        )
    root = authority.make_root(trust_domain, keys.generate(key_kind), now)
    signer = authority.make_intermediate(trust_domain, root, keys.generate(key_kind), now)
    state = State(trust_domain, key_kind, longest_life, ("root-1",), "root-1", "intermediate-1", now)
    new: Path | None = None
    try:
        folder.absolute().parent.mkdir(parents=True, exist_ok=True)
        new = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.absolute().parent))  # mode 0700
        _put(new, "root-1", root)
        _put(new, "intermediate-1", signer)
        disk.write(new / BUNDLE, authority.to_pem([root.certificate]), disk.FOR_ALL)
        disk.write(new / SECRET, make_secret())
        _write_state(new, state)
        new.rename(folder)
        disk.sync_directory(folder.absolute().parent)
    except OSError as error:
        hint = "; take another, or empty it" if folder.exists() else ""
        raise IdentityError(f"{folder}: cannot be made: {error.strerror}{hint}") from None
    finally:
        if new is not None:
            shutil.rmtree(new, ignore_errors=True)
    return Store(folder, state)


def _put(folder: Path, name: str, signer: Signer) -> None:
    disk.write(folder / f"{name}.key", keys.to_pem(signer.key))
    disk.write(folder / f"{name}.pem", authority.to_pem([signer.certificate]), disk.FOR_ALL)


def _write_state(folder: Path, state: State) -> None:
    disk.write(folder / STATE, msgspec.json.format(msgspec.json.encode(state), indent=1) + b"\n")


def _read_state(folder: Path) -> State:
    path = folder / STATE
    text = disk.read_secret(path)
    try:
        return msgspec.json.decode(text, type=State)
    except msgspec.MsgspecError as error:
        raise IdentityError(
            f"{path}: is damaged, or of another version of Tulle ({error}); put it back from a copy"
        ) from None
