"""Rules of redirection in namespaces of the test's own, with the real tools."""

import ipaddress
import socket
import struct
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from tests.proxy.interception.namespaces import Namespace
from tulle.proxy.interception import redirect
from tulle.proxy.interception.redirect import Tool
from tulle.proxy.interception.rules import Redirection, nft_rules

ORIGINAL_DESTINATION = 80  # SO_ORIGINAL_DST
NOBODY = Redirection(users=(1337,))
TOOLS: tuple[Tool, ...] = ("nft", "iptables")
Machines = tuple[Namespace, Namespace]


@pytest.fixture(params=TOOLS)
def tool(
    request: pytest.FixtureRequest, can_redirect: Callable[[str], None], machines: Machines
) -> Iterator[Tool]:
    """A tool, after which nothing is left in the first machine."""
    can_redirect(request.param)
    yield request.param
    with machines[0].inside():
        redirect.remove(request.param)


@pytest.fixture(scope="module")
def listening(machines: Machines) -> Iterator[dict[str, socket.socket]]:
    """What stands for a sidecar, an application beside it, and others."""
    here, there = machines
    made = {
        "inbound 4": here.listen("0.0.0.0", 15006),
        "inbound 6": here.listen("::", 15006),
        "outbound 4": here.listen("127.0.0.1", 15001),
        "outbound 6": here.listen("::1", 15001),
        "application 4": here.listen("0.0.0.0", 8080),
        "application 6": here.listen("::", 8080),
        "other 4": there.listen("0.0.0.0", 9000),
        "other 6": there.listen("::", 9000),
    }
    yield made
    for one in made.values():
        one.close()


def original(accepted: socket.socket) -> tuple[str, int]:
    """Where the connection was meant for."""
    if accepted.family == socket.AF_INET:
        found = accepted.getsockopt(socket.IPPROTO_IP, ORIGINAL_DESTINATION, 16)
        return socket.inet_ntop(socket.AF_INET, found[4:8]), struct.unpack("!H", found[2:4])[0]
    found = accepted.getsockopt(socket.IPPROTO_IPV6, ORIGINAL_DESTINATION, 28)
    return socket.inet_ntop(socket.AF_INET6, found[8:24]), struct.unpack("!H", found[2:4])[0]


def arrives(client: socket.socket, listener: socket.socket) -> tuple[str, int] | None:
    """Fails unless the client's connection is the next at this listener; where it was meant for."""
    with client, closing(listener.accept()[0]) as accepted:
        accepted.sendall(b"it")
        assert client.recv(2) == b"it"
        try:
            return original(accepted)
        except OSError:
            return None


@pytest.mark.parametrize("version", ["4", "6"])
def test_all_that_comes_and_goes_meets_the_sidecar(
    machines: Machines, tool: Tool, listening: dict[str, socket.socket], version: str
) -> None:
    here, there = machines
    with here.inside():
        redirect.apply(NOBODY, tool)
    own, other = (here.ipv4, there.ipv4) if version == "4" else (here.ipv6, there.ipv6)
    loopback = "127.0.0.1" if version == "4" else "::1"
    # In: also to a port where nothing listens
    assert arrives(there.connect(own, 8080), listening[f"inbound {version}"]) == (own, 8080)
    assert arrives(there.connect(own, 81), listening[f"inbound {version}"]) == (own, 81)
    # Out: also to an address that nobody has
    assert arrives(here.connect(other, 9000), listening[f"outbound {version}"]) == (other, 9000)
    nobody = "10.77.0.99" if version == "4" else "fd77::99"
    assert arrives(here.connect(nobody, 1), listening[f"outbound {version}"]) == (nobody, 1)
    # What stays on the machine is nobody's
    arrives(here.connect(loopback, 8080), listening[f"application {version}"])
    arrives(here.connect(own, 8080), listening[f"application {version}"])
    with here.inside():
        redirect.remove(tool)
    arrives(there.connect(own, 8080), listening[f"application {version}"])
    arrives(here.connect(other, 9000), listening[f"other {version}"])


@pytest.mark.parametrize("version", ["4", "6"])
def test_what_is_excluded_goes_straight(
    machines: Machines, tool: Tool, listening: dict[str, socket.socket], version: str
) -> None:
    here, there = machines
    own, other = (here.ipv4, there.ipv4) if version == "4" else (here.ipv6, there.ipv6)
    block = ipaddress.ip_network(other)
    for excluded in (
        replace(NOBODY, users=(1337, 0), exclude_inbound_ports=(22, 8080)),  # the test is user 0
        replace(NOBODY, exclude_outbound_ports=(9000,), exclude_inbound_ranges=(block, block)),
        replace(NOBODY, exclude_outbound_ranges=(block,), exclude_inbound_ports=(8080,)),
    ):
        with here.inside():
            redirect.apply(excluded, tool)
        arrives(there.connect(own, 8080), listening[f"application {version}"])
        arrives(here.connect(other, 9000), listening[f"other {version}"])
        if not excluded.exclude_inbound_ranges:
            assert arrives(there.connect(own, 81), listening[f"inbound {version}"]) == (own, 81)


def rules(ip: Namespace, tool: Tool) -> str:
    words = [["nft", "list", "ruleset"]] if tool == "nft" else [["iptables-save"], ["ip6tables-save"]]
    with ip.inside():
        found = "".join(
            subprocess.run(
                one, capture_output=True, text=True, check=True, env={"PATH": "/usr/sbin:/sbin"}
            ).stdout
            for one in words
        )
    return "\n".join(line for line in found.splitlines() if not line.startswith(("#", ":")))


def test_a_second_time_is_as_once_and_removal_leaves_nothing(machines: Machines, tool: Tool) -> None:
    here, _ = machines
    with here.inside():
        redirect.remove(tool)
        redirect.apply(replace(NOBODY, exclude_outbound_ports=(1, 2)), tool)
        redirect.apply(NOBODY, tool)
    once = rules(here, tool)
    with here.inside():
        redirect.apply(NOBODY, tool)
    assert rules(here, tool) == once
    assert "15006" in once
    with here.inside():
        redirect.remove(tool)
        redirect.remove(tool)
    left = rules(here, tool).lower()
    assert "tulle" not in left
    assert "1500" not in left


def test_ipv4_alone_leaves_ipv6_as_it_is(
    machines: Machines, tool: Tool, listening: dict[str, socket.socket]
) -> None:
    here, there = machines
    with here.inside():
        redirect.apply(NOBODY, tool)
        redirect.apply(replace(NOBODY, ipv6=False), tool)
    assert arrives(there.connect(here.ipv4, 81), listening["inbound 4"]) == (here.ipv4, 81)
    arrives(there.connect(here.ipv6, 8080), listening["application 6"])
    arrives(here.connect(there.ipv6, 9000), listening["other 6"])


# -- text -------------------------------------------------------------------------------------------------


def test_ranges_are_sorted_by_family_and_never_overlap() -> None:
    blocks = tuple(ipaddress.ip_network(text) for text in ("10.0.0.0/8", "10.1.0.0/16", "fd00::/8"))
    text = nft_rules(replace(NOBODY, exclude_outbound_ranges=blocks))
    assert "ip daddr { 10.0.0.0/8 } return" in text
    assert "ip6 daddr { fd00::/8 } return" in text


def test_a_tool_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(redirect, "PLACES", ())
    with pytest.raises(redirect.Failure, match="neither nft nor iptables is installed"):
        redirect.choose_tool("auto")
    with pytest.raises(redirect.Failure, match="nft is not installed"):
        redirect.choose_tool("nft")
