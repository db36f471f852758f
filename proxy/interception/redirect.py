"""Redirection is put into the network namespace that this process is in, and taken out of it."""

import os
import subprocess
from collections.abc import Sequence
from typing import Literal

from tulle.proxy.failure import Failure
from tulle.proxy.interception.rules import (
    IN_HOOK,
    OUT_HOOK,
    Redirection,
    iptables_removal,
    iptables_rules,
    nft_removal,
    nft_rules,
)

PLACES = ("/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/local/bin", "/usr/bin", "/bin")
PATIENCE = 60  # seconds for one call
Tool = Literal["nft", "iptables"]


def choose_tool(wanted: str) -> Tool:
    """What to write rules with; `Failure` when it is not here."""
    if wanted in ("auto", "nft") and _find("nft"):
        return "nft"
    if wanted in ("auto", "iptables") and _find("iptables-restore"):
        return "iptables"
    names = "neither nft nor iptables is" if wanted == "auto" else f"{wanted} is not"
    raise Failure(f"{names} installed; on Debian: apt-get install nftables")


def describe(wanted: Redirection, tool: Tool) -> str:
    """The rules as they would be written where there are none."""
    if tool == "nft":
        return nft_rules(wanted)
    text = f"# iptables-restore --noflush\n{iptables_rules(wanted, 4)}"
    return text + (f"# ip6tables-restore --noflush\n{iptables_rules(wanted, 6)}" if wanted.ipv6 else "")


def describe_removal(tool: Tool) -> str:
    if tool == "nft":
        return nft_removal()
    hooks = (IN_HOOK, OUT_HOOK)
    return "".join(
        f"# {name}-restore --noflush\n{iptables_removal(hooks)}" for name in ("iptables", "ip6tables")
    )


def apply(wanted: Redirection, tool: Tool) -> None:
    """Have the rules be in force, in place of those of an earlier call."""
    if tool == "nft":
        _call(["nft", "-f", "-"], nft_rules(wanted))
        return
    _restore("iptables", iptables_rules(wanted, 4, _hooked("iptables")))
    if wanted.ipv6:
        _restore("ip6tables", iptables_rules(wanted, 6, _hooked("ip6tables")))
    else:
        _remove("ip6tables")


def remove(tool: Tool) -> None:
    """Take them away; nothing happens where there are none."""
    if tool == "nft":
        _call(["nft", "-f", "-"], nft_removal())
        return
    _remove("iptables")
    _remove("ip6tables")


def _remove(name: str) -> None:
    if _find(name) and (hooked := _hooked(name)):
        _restore(name, iptables_removal(hooked))


def _restore(name: str, text: str) -> None:
    _call([f"{name}-restore", "--noflush", "--wait", "30"], text)


def _hooked(name: str) -> list[str]:
    """Which of the two hooks are there."""
    return [
        hook
        for hook in (IN_HOOK, OUT_HOOK)
        if _run([name, "-w", "30", "-t", "nat", "-C", *hook.split()]) == 0
    ]


def _run(words: Sequence[str]) -> int:
    return subprocess.run(
        [_find(words[0]) or words[0], *words[1:]],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=PATIENCE,
        check=False,
    ).returncode


def _call(words: Sequence[str], text: str) -> None:
    program = _find(words[0])
    if program is None:
        raise Failure(f"{words[0]} is not installed; on Debian: apt-get install nftables, or iptables")
    done = subprocess.run(
        [program, *words[1:]], input=text, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    if done.returncode == 0:
        return
    reason = done.stderr.strip().splitlines() or [f"{words[0]} ended with {done.returncode}"]
    hint: tuple[str, ...] = ()
    if os.geteuid() != 0 or any("not permitted" in line.lower() for line in reason):
        hint = ("it needs root, or the capability NET_ADMIN, in this network namespace",)
    raise Failure(f"{words[0]} refused the rules:", *(f"  {line}" for line in reason[:8]), *hint)


def _find(name: str) -> str | None:
    for directory in (*os.environ.get("PATH", "").split(os.pathsep), *PLACES):
        path = os.path.join(directory, name)
        if directory and os.access(path, os.X_OK) and not os.path.isdir(path):
            return path
    return None
