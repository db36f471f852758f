"""The rules that send a network namespace's TCP to its sidecar, as text for nft or for iptables-restore.

Inbound: what comes from elsewhere for this machine. Outbound: what leaves it, but not what the sidecar's own
users send, which would go round in a circle, nor what stays on this machine. Forwarded traffic is nobody's
here.
"""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

TABLE = "tulle"
IN_CHAIN = "TULLE_INBOUND"
OUT_CHAIN = "TULLE_OUTBOUND"
IN_HOOK = f"PREROUTING -p tcp -j {IN_CHAIN}"
OUT_HOOK = f"OUTPUT -p tcp -j {OUT_CHAIN}"

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True)
class Redirection:
    """`users` are numbers; ranges of inbound are those of who connects, of outbound those connected to."""

    users: tuple[int, ...]
    inbound_port: int = 15006
    outbound_port: int = 15001
    exclude_inbound_ports: tuple[int, ...] = ()
    exclude_outbound_ports: tuple[int, ...] = ()
    exclude_inbound_ranges: tuple[Network, ...] = ()
    exclude_outbound_ranges: tuple[Network, ...] = ()
    ipv6: bool = True


# -- nftables ---------------------------------------------------------------------------------------------


def nft_rules(wanted: Redirection) -> str:
    """A file for `nft -f`: takes the place of what was there, in one transaction."""
    inbound = [
        'iifname "lo" return',
        "fib daddr type != local return",
        *_nft_ports(wanted.exclude_inbound_ports),
        *_nft_ranges("saddr", wanted.exclude_inbound_ranges),
        f"meta l4proto tcp redirect to :{wanted.inbound_port}",
    ]
    outbound = [
        'oifname "lo" return',
        f"meta skuid {_set(wanted.users)} return",
        *_nft_ports(wanted.exclude_outbound_ports),
        *_nft_ranges("daddr", wanted.exclude_outbound_ranges),
        f"meta l4proto tcp redirect to :{wanted.outbound_port}",
    ]
    family = "inet" if wanted.ipv6 else "ip"
    return (
        f"{nft_removal()}"
        f"table {family} {TABLE} {{\n"
        f"{_nft_chain('inbound', 'prerouting', inbound)}"
        f"{_nft_chain('outbound', 'output', outbound)}"
        "}\n"
    )


def nft_removal() -> str:
    """Takes the rules away, whether they are there or not."""
    return "".join(
        f"add table {family} {TABLE}\ndelete table {family} {TABLE}\n" for family in ("inet", "ip")
    )


def _nft_chain(name: str, hook: str, rules: Sequence[str]) -> str:
    lines = "".join(f"        {rule}\n" for rule in rules)
    return f"    chain {name} {{\n        type nat hook {hook} priority -100; policy accept;\n{lines}    }}\n"


def _nft_ports(ports: Sequence[int]) -> list[str]:
    return [f"tcp dport {_set(sorted(set(ports)))} return"] if ports else []


def _nft_ranges(side: str, ranges: Sequence[Network]) -> list[str]:
    rules = []
    for version, word in ((4, "ip"), (6, "ip6")):
        found = [str(block) for block in _collapsed(ranges, version)]
        if found:
            rules.append(f"{word} {side} {_set(found)} return")
    return rules


def _set(values: Sequence[object]) -> str:
    return f"{{ {', '.join(map(str, values))} }}"


def _collapsed(ranges: Sequence[Network], version: int) -> list[Network]:
    """Those of one IP version, without overlaps."""
    if version == 4:
        return list(
            ipaddress.collapse_addresses(one for one in ranges if isinstance(one, ipaddress.IPv4Network))
        )
    return list(ipaddress.collapse_addresses(one for one in ranges if isinstance(one, ipaddress.IPv6Network)))


# -- iptables ---------------------------------------------------------------------------------------------


def iptables_rules(wanted: Redirection, version: int, hooked: Sequence[str] = ()) -> str:
    """A file for `iptables-restore --noflush`, or ip6tables-restore; `hooked`: those hooks that are there."""
    inbound = [
        "-i lo -j RETURN",
        "-m addrtype ! --dst-type LOCAL -j RETURN",
        *(f"-p tcp --dport {port} -j RETURN" for port in sorted(set(wanted.exclude_inbound_ports))),
        *(f"-s {block} -j RETURN" for block in _collapsed(wanted.exclude_inbound_ranges, version)),
        f"-p tcp -j REDIRECT --to-ports {wanted.inbound_port}",
    ]
    outbound = [
        "-o lo -j RETURN",
        *(f"-m owner --uid-owner {user} -j RETURN" for user in wanted.users),
        *(f"-p tcp --dport {port} -j RETURN" for port in sorted(set(wanted.exclude_outbound_ports))),
        *(f"-d {block} -j RETURN" for block in _collapsed(wanted.exclude_outbound_ranges, version)),
        f"-p tcp -j REDIRECT --to-ports {wanted.outbound_port}",
    ]
    lines = [
        "*nat",
        f":{IN_CHAIN} - [0:0]",
        f":{OUT_CHAIN} - [0:0]",
        *(f"-A {IN_CHAIN} {rule}" for rule in inbound),
        *(f"-A {OUT_CHAIN} {rule}" for rule in outbound),
        *(f"-A {hook}" for hook in (IN_HOOK, OUT_HOOK) if hook not in hooked),
        "COMMIT",
    ]
    return "\n".join(lines) + "\n"


def iptables_removal(hooked: Sequence[str]) -> str:
    """Takes away the chains, and those hooks that are there."""
    lines = [
        "*nat",
        f":{IN_CHAIN} - [0:0]",
        f":{OUT_CHAIN} - [0:0]",
        *(f"-D {hook}" for hook in hooked),
        f"-X {IN_CHAIN}",
        f"-X {OUT_CHAIN}",
        "COMMIT",
    ]
    return "\n".join(lines) + "\n"
