"""What operators and services ask of a control plane: apply, diff, get, status, register."""

import argparse
import asyncio
import contextlib
import json
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from tulle.controlplane.address import SocketAddress, parse_address
from tulle.controlplane.client import dial
from tulle.controlplane.client.dial import DialError
from tulle.controlplane.client.disk_state import BUNDLE, CERTIFICATE, KEY, StateDirectory
from tulle.controlplane.plane.http2 import Connection
from tulle.proxy.control import tables
from tulle.proxy.failure import Failure
from tulle.proxy.messages import complain, say, warn

MARGIN = 10.0  # seconds beyond what the other side is asked to wait


def run(command: str, options: argparse.Namespace) -> int:
    """The exit status. `Failure` when the control plane refuses, or is not there."""
    does = {"apply": apply, "diff": diff, "get": get, "status": status, "register": register}
    try:
        return asyncio.run(does[command](options))
    except DialError as error:
        raise Failure(f"no control plane: {error}; see --socket and --control") from None


@contextlib.asynccontextmanager
async def connected(options: argparse.Namespace) -> AsyncIterator[Connection]:
    if options.control is None:
        async with dial.connection(SocketAddress(options.socket, None), None) as own:
            yield own
        return
    if options.identity is None:
        raise Failure("--control needs --identity: who asks must show a certificate")
    state = StateDirectory(Path(options.identity))
    try:
        address = parse_address(options.control)
    except ValueError as error:
        raise Failure(f"--control: {error}") from None
    context = dial.mutual(*(state.path(name) for name in (BUNDLE, CERTIFICATE, KEY)))
    async with dial.connection(address, context, trust_domain_of(state.path(CERTIFICATE))) as own:
        yield own


def trust_domain_of(certificate: Path) -> str:
    from tulle.controlplane.identity.files import read_certificates

    facts, _ = read_certificates(str(certificate))
    for name in facts[0].names if facts else ():
        kind, _, value = name.partition(":")
        if kind == "URI":
            return value.removeprefix("spiffe://").partition("/")[0]
    raise Failure(f"{certificate}: there is no certificate with a SPIFFE id in it")


async def ask(
    options: argparse.Namespace, method: str, path: str, body: bytes = b"", wait: float = 0.0
) -> Any:
    """The JSON answer. `Failure` with the errors when it is refused."""
    async with connected(options) as own:
        code, answer = await dial.ask(own, method, path, body, patience=dial.PATIENCE + wait)
    return read(code, answer)


def read(code: int, answer: bytes) -> Any:
    try:
        found = json.loads(answer)
    except ValueError:
        found = None
    if code == 200 and found is not None:
        return found
    if isinstance(found, dict) and "errors" in found:
        raise Failure(*found["errors"], "refused; nothing has changed")
    raise Failure(answer.decode(errors="replace").strip() or f"the control plane answers with status {code}")


def document(options: argparse.Namespace) -> tuple[str, bytes]:
    path = Path(options.file)
    try:
        return path.name, path.read_bytes()
    except OSError as error:
        raise Failure(f"{path}: cannot be read: {error.strerror}") from None


async def apply(options: argparse.Namespace) -> int:
    name, text = document(options)
    wait = options.timeout if options.wait else 0.0
    query = urlencode({"name": name, "wait": wait})
    done = await ask(options, "POST", f"/v1/apply?{query}", text, wait + MARGIN)
    if options.format == "json":
        print(json.dumps(done))
    for line in done["warnings"]:
        warn(line)
    late = done.get("late", [])
    for one in late:
        reason = "; ".join(one["reasons"]) if one["state"] == "refused" else one["state"]
        complain(f"{one['identity']} {one['node']} has not: {reason}")
    sidecars, identities = done["sidecars"], done["identities"]
    kinds = "identity" if identities == 1 else "identities"
    what = f"{name} is applied; it concerns {sidecars} sidecar{'s' * (sidecars != 1)} of {identities} {kinds}"
    say(f"{what}{', and all have it' if options.wait and not late else ''}")
    return 1 if late else 0


async def diff(options: argparse.Namespace) -> int:
    name, text = document(options)
    found = await ask(options, "POST", f"/v1/diff?{urlencode({'name': name})}", text, MARGIN)
    if options.format == "json":
        print(json.dumps(found))
    else:
        for line in tables.differences(found):
            print(line)
    return 1 if found else 0


async def get(options: argparse.Namespace) -> int:
    found = await ask(options, "GET", f"/v1/{options.kind}")
    if options.format == "json":
        print(json.dumps(found))
        return 0
    for line in tables.of_kind(options.kind, found):
        print(line)
    return 0


async def status(options: argparse.Namespace) -> int:
    found = await ask(options, "GET", "/v1/status")
    if options.format == "json":
        print(json.dumps(found))
    else:
        for line in tables.of_kind("sidecars", found["sidecars"]):
            print(line)
        for line in found["warnings"]:
            warn(line)
        for line in (*found["refused"], *([found["trouble"]] if found["trouble"] else ())):
            complain(line)
    synced = all(one["state"] == "synced" for one in found["sidecars"])
    return 0 if synced and not found["refused"] and not found["trouble"] else 1


async def register(options: argparse.Namespace) -> int:
    """Renew the lease until told to leave, then end it."""
    leaving = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, leaving.set)
    endpoint = {"address": options.endpoint, "weight": options.weight, "zone": options.zone}
    lease = {"service": options.service, "endpoint": endpoint, "seconds": options.lease}
    body = json.dumps(lease).encode()
    await ask(options, "POST", "/v1/leases", body)
    say(f"{options.endpoint} is registered for {options.service}")
    if options.once:
        return 0
    while not leaving.is_set():
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(options.lease / 3):
                await leaving.wait()
        if not leaving.is_set():
            try:
                await ask(options, "POST", "/v1/leases", body)
            except (DialError, Failure) as error:
                warn(f"the lease is not renewed: {error}; it is tried again")
    with contextlib.suppress(DialError, Failure):
        async with connected(options) as own:
            await dial.ask(own, "POST", "/v1/leases", json.dumps({**lease, "end": True}).encode())
    say(f"{options.endpoint} is not registered any more")
    return 0
