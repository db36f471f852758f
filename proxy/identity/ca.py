"""What `tulle ca` does. Paths of what was written go to stdout, everything else to stderr."""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tulle.controlplane.identity import disk, keys, rotation, spiffe
from tulle.controlplane.identity.errors import IdentityError
from tulle.controlplane.identity.facts import CertificateFacts, span
from tulle.controlplane.identity.files import read_certificates
from tulle.controlplane.identity.inspect import moment, time_problems
from tulle.controlplane.identity.request import LONGEST_REQUEST, Identity, Request, read_request
from tulle.controlplane.identity.spiffe import SpiffeId
from tulle.controlplane.identity.store import BUNDLE, SECRET, STATE, Store, create_store, open_store
from tulle.proxy.failure import Failure
from tulle.proxy.messages import complain, say, warn


def run(command: str, options: argparse.Namespace) -> int:
    """One of init, issue, rotate, show; the exit status. `Failure` when it is refused."""
    does: dict[str, Callable[[argparse.Namespace], int]] = {
        "init": init,
        "issue": issue,
        "rotate": rotate,
        "show": show,
    }
    try:
        return does[command](options)
    except IdentityError as error:
        raise Failure(*error.lines) from None


def init(options: argparse.Namespace) -> int:
    folder = Path(options.folder)
    store = create_store(folder, options.trust_domain, time.time(), options.key, options.longest_life)
    for name in (
        STATE,
        "root-1.pem",
        "root-1.key",
        "intermediate-1.pem",
        "intermediate-1.key",
        BUNDLE,
        SECRET,
    ):
        print(folder / name)
    example = spiffe.service(store.state.trust_domain, "default", "web")
    say(f"the CA of {store.state.trust_domain} is made; next: tulle ca issue {folder} {example}")
    return 0


# -- issue ----------------------------------------------------------------------------------------------


def issue(options: argparse.Namespace) -> int:
    folder, out, now = Path(options.folder), Path(options.out), time.time()
    store = open_store(folder)
    identity = _identity(options.id, store.state.trust_domain)
    name = options.name or identity.path.rpartition("/")[2]
    if "/" in name or name in ("", ".", ".."):
        raise IdentityError(f"--name {name!r}: is no name of a file; write one as in web")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise IdentityError(f"{out}: cannot be made: {error.strerror}") from None
    certificate = out / f"{name}.pem"
    if options.if_due and (until := _not_due_until(certificate, identity, now)):
        _write_bundle(store, out, options)
        say(f"{certificate}: is not due before {moment(until)}, in {span(until - now)}")
        return 0
    request, key = _request(options)
    issued = store.issue(request, Identity(identity, tuple(options.dns)), now, options.life)
    _write_bundle(store, out, options)  # first of all: peers may have certificates of a new root already
    if key:
        disk.write(out / f"{name}.key", key)
        print(out / f"{name}.key")
    disk.write(certificate, issued.pem, disk.FOR_ALL)
    print(certificate)
    _say_issued(store, folder, identity, issued.not_after, now, options.life)
    return 0


def _write_bundle(store: Store, out: Path, options: argparse.Namespace) -> None:
    """Bring the trusted roots to where they are used, when they have changed."""
    bundle, content = out / BUNDLE, store.bundle()
    if not options.csr and (not bundle.exists() or bundle.read_bytes() != content):
        disk.write(bundle, content, disk.FOR_ALL)
        print(bundle)


def _identity(text: str, trust_domain: str) -> SpiffeId:
    try:
        return spiffe.parse_workload(f"{spiffe.SCHEME}{trust_domain}{text}" if text.startswith("/") else text)
    except ValueError as error:
        raise IdentityError(str(error)) from None


def _request(options: argparse.Namespace) -> tuple[Request, bytes]:
    """What the certificate is for, and the key when it is made here."""
    if not options.csr:
        key = keys.generate(options.key)
        return Request(key.public_key()), keys.to_pem(key)
    try:
        if options.csr == "-":
            text = sys.stdin.buffer.read(LONGEST_REQUEST + 1)
        else:
            with Path(options.csr).open("rb") as file:
                text = file.read(LONGEST_REQUEST + 1)
    except OSError as error:
        raise IdentityError(f"{options.csr}: cannot be read: {error.strerror}") from None
    return read_request(text), b""


def _not_due_until(file: Path, identity: SpiffeId, now: float) -> float:
    """When the certificate that is there is to be renewed; 0 when that is now, or there is none."""
    found, problems = read_certificates(str(file))
    if not found or problems or f"URI:{identity}" not in found[0].names:
        return 0
    leaf = found[0]
    due = rotation.renew_at(leaf.not_before, leaf.not_after, rotation.chance_of(leaf.fingerprint))
    return due if now < due else 0


def _say_issued(
    store: Store, folder: Path, identity: SpiffeId, not_after: float, now: float, life: float
) -> None:
    say(f"{identity} until {moment(not_after)}")
    signer = store.intermediate()
    if now >= signer.warn_from():
        shorter = ", so this certificate lives shorter than asked for" if not_after < now + life - 1 else ""
        left = span(signer.not_after - now)
        warn(f"the intermediate expires in {left}{shorter}; type: tulle ca rotate {folder}")


# -- rotate ---------------------------------------------------------------------------------------------


def rotate(options: argparse.Namespace) -> int:
    folder, now = Path(options.folder), time.time()
    store = open_store(folder)
    before = set(folder.iterdir())
    if options.root is None:
        store.renew_intermediate(now)
    else:
        store.change_root(options.root, now, options.force)
    for path in sorted(set(folder.iterdir()) - before):
        print(path)
    print(folder / STATE)
    if options.root is not None:
        print(folder / BUNDLE)
    say(_next_step(store, folder, options.root))
    return 0


def _next_step(store: Store, folder: Path, step: str | None) -> str:
    bundle = folder / BUNDLE
    if step == "add":
        return (
            f"{bundle} has the new root too; bring it to all who verify, and when all have it:"
            f" tulle ca rotate {folder} --root use"
        )
    if step == "use":
        return (
            f"{store.state.signing_root} signs from now on; when no old certificate is alive, in"
            f" {span(store.state.longest_life)}: tulle ca rotate {folder} --root drop"
        )
    if step == "drop":
        return f"only {store.state.signing_root} is trusted; bring {bundle} to all who verify"
    return f"{store.state.intermediate} signs from now on; certificates that there are stay valid"


# -- show -----------------------------------------------------------------------------------------------


def show(options: argparse.Namespace) -> int:
    path, now = Path(options.path), time.time()
    shown: list[dict[str, Any]] = []
    if path.is_dir():
        store = open_store(path)
        shown += [_described(one.facts, str(path / one.file), now, one.role) for one in store.shown()]
    else:
        found, problems = read_certificates(str(path))
        for problem in problems:
            complain(problem.text())
        if problems:
            return 1
        shown += [_described(facts, str(path), now) for facts in found]
    if options.format == "json":
        import json

        print(json.dumps({"certificates": shown}, indent=1, ensure_ascii=False))
    else:
        from tulle.proxy.admin.text import readable

        print(readable(shown), end="")
    return 0


def _described(facts: CertificateFacts, file: str, now: float, role: str = "") -> dict[str, Any]:
    problems = [problem.message for problem in time_problems(facts, file, now)]
    return {
        **({"role": role} if role else {}),
        "file": file,
        "subject": facts.subject,
        "issuer": facts.issuer,
        "names": list(facts.names),
        "serial": facts.serial,
        "not_before": moment(facts.not_before),
        "not_after": moment(facts.not_after),
        "days_left": round((facts.not_after - now) / 86400, 2),
        "key": facts.key,
        "is_ca": facts.is_ca,
        "sha256": facts.fingerprint,
        **({"problems": problems} if problems else {}),
    }
