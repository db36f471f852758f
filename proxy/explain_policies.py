"""What `tulle explain` tells of authorization: which policy decides, and why the others do not."""

import ipaddress
import mmap
import struct
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from tulle._fast.policy.authorization_view import Authorizer
from tulle.controlplane.table import PolicyRow, RoutingTable
from tulle.proxy.failure import Failure


class Asker(NamedTuple):
    """Who asks, as was typed; empty is not known."""

    principal: str = ""
    source: str = ""  # the address of the connection
    client: str = ""  # what proxies in front say it is; empty: the same
    claims: Sequence[str] = ()  # of the token, `name=value`


class Ruling(NamedTuple):
    """What policies decide."""

    allowed: bool
    lines: list[str]


def ruling(
    image: bytes | mmap.mmap,
    table: RoutingTable,
    listener: int,
    route: int | None,
    request: tuple[bytes, bytes, bytes, list[tuple[bytes, bytes]]],
    asker: Asker,
) -> Ruling:
    """Ask as a worker would. `route` is an index over all tables; `Failure` when a fact makes no sense."""
    allowed, decider, counted, matching = Authorizer(image).ask(
        listener, route, request,
        principal=asker.principal.encode(),
        peer=_address(asker.source),
        client=_address(asker.client or asker.source),
        claims=_claims(asker.claims, table),
    )  # fmt: skip
    if not matching:
        return Ruling(allowed, [])
    outcomes: dict[int, list[str]] = {}
    for policy, outcome in counted:
        if policy is not None:
            outcomes.setdefault(policy, []).append(outcome)
    return Ruling(allowed, list(_lines(table, allowed, decider, outcomes, matching)))


def _lines(
    table: RoutingTable,
    allowed: bool,
    decider: int | None,
    outcomes: dict[int, list[str]],
    matching: dict[int, int],
) -> Iterator[str]:
    if decider is not None:
        row = table.policies[decider]
        yield f"policy    {'allowed' if allowed else 'denied'} by {_named(row, matching[decider])}"
    elif allowed:
        yield "policy    allowed: no policy denies it, and none allows only some"
    else:
        yield "policy    denied: there are allow policies, and none of them matches"
    for index in sorted(matching):
        if index != decider:
            row, rule = table.policies[index], matching[index]
            yield f"          {_named(row, rule)}: {_why(row, rule, outcomes.get(index, []))}"


def _named(row: PolicyRow, rule: int) -> str:
    kind = f"{row.action}{', a dry run' if row.dry_run else ''}"
    return f"{row.name} ({kind})" + (f", rule {rule}" if rule >= 0 else "")


def _why(row: PolicyRow, rule: int, outcomes: Sequence[str]) -> str:
    if "shadow_denied" in outcomes:
        return "would deny it, were it no dry run"
    if "shadow_allowed" in outcomes:
        return "would allow it, were it no dry run"
    if rule < 0:
        return "no rule matches" if row.rules else "has no rules"
    if row.action == "audit":
        return "matches, and decides nothing"
    return "matches, but comes later"


def _address(text: str) -> bytes:
    if not text:
        return b""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise Failure(f"{text!r} is not an IP address") from None
    return address.packed if address.version == 6 else bytes(10) + b"\xff\xff" + address.packed


def _claims(typed: Sequence[str], table: RoutingTable) -> bytes:
    """Records as the verifier makes them; claims that no policy asks for are left out."""
    names = {".".join(path): index for index, path in enumerate(table.claims)}
    records = b""
    for text in typed:
        name, equals, value = text.partition("=")
        if not equals:
            raise Failure(f"{text!r} is not a claim; write 'name=value'")
        if name in names:
            records += struct.pack("=HHI", 0, names[name], len(value.encode())) + value.encode()
    return records
