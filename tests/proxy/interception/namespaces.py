"""Two machines of a test's own: network namespaces with a cable between them."""

import ctypes
import itertools
import os
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PATIENCE = 30.0
_libc = ctypes.CDLL(None, use_errno=True)
_NETWORK = 0x40000000  # CLONE_NEWNET
_numbers = itertools.count()


class NotPermitted(Exception):
    """This machine lets us make no network namespace, and why."""


class Namespace:
    """One of the machines. Sockets that are made `inside` stay in it."""

    def __init__(self, name: str, ipv4: str, ipv6: str) -> None:
        self.name = name
        self.ipv4 = ipv4
        self.ipv6 = ipv6

    @contextmanager
    def inside(self) -> Iterator[None]:
        """This thread, and the processes that it begins, are in it."""
        with Path(f"/proc/self/task/{threading.get_native_id()}/ns/net").open("rb") as outside:
            with Path(f"/run/netns/{self.name}").open("rb") as place:
                _enter(place.fileno())
            try:
                yield
            finally:
                _enter(outside.fileno())

    def listen(self, host: str, port: int) -> socket.socket:
        with self.inside():
            listening = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if ":" in host:
                listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            listening.bind((host, port))
            listening.listen()
            listening.settimeout(PATIENCE)
            return listening

    def connect(self, host: str, port: int, user: int = 0) -> socket.socket:
        """As this user, whose traffic it so is."""
        with self.inside():
            _libc.setfsuid(user)  # of this thread only
            try:
                client = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
            finally:
                _libc.setfsuid(0)
            client.settimeout(PATIENCE)
            try:
                client.connect((host, port))
            except BaseException:
                client.close()
                raise
            return client

    def enter(self) -> None:
        """For good: of a process that is about to begin."""
        with Path(f"/run/netns/{self.name}").open("rb") as place:
            _enter(place.fileno())


def _enter(descriptor: int) -> None:
    if _libc.setns(descriptor, _NETWORK) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


@contextmanager
def two_machines(ip: str) -> Iterator[tuple[Namespace, Namespace]]:
    """`ip`: the program. `NotPermitted` where it cannot be."""
    number = next(_numbers)
    tag = f"tulle-{os.getpid()}-{number}"
    left = Namespace(f"{tag}-a", "10.77.0.1", "fd77::1")
    right = Namespace(f"{tag}-b", "10.77.0.2", "fd77::2")
    try:
        for machine in (left, right):
            _call(ip, "netns", "add", machine.name)
        _call(ip, "-n", left.name, "link", "add", "eth0", "type", "veth", "peer", "eth0", "netns", right.name)
        for machine in (left, right):
            _call(ip, "-n", machine.name, "address", "add", f"{machine.ipv4}/24", "dev", "eth0")
            _call(
                ip, "-n", machine.name, "-6", "address", "add", f"{machine.ipv6}/64", "dev", "eth0", "nodad"
            )
            for link in ("lo", "eth0"):
                _call(ip, "-n", machine.name, "link", "set", link, "up")
        yield left, right
    finally:
        for machine in (left, right):
            with suppress(NotPermitted):
                _call(ip, "netns", "delete", machine.name)


_NFT_CAN = """\
table inet probe {
    chain one {
        type nat hook output priority -100;
        fib daddr type local meta skuid 1 meta l4proto tcp redirect to :1
    }
}
delete table inet probe
"""
_IPTABLES_CAN = (
    "-t nat -A OUTPUT -p tcp -m owner --uid-owner 1 -m addrtype --dst-type LOCAL -j REDIRECT --to-ports 1"
)


def why_not(machine: Namespace, tool: str, find: Callable[[str], str]) -> str:
    """What this kernel lacks for such rules, which are not those that are tested; empty when it can."""
    calls: list[tuple[list[str], str]] = [([find("nft"), "-f", "-"], _NFT_CAN)]
    if tool == "iptables":
        rule = _IPTABLES_CAN.split()
        undo = ["-D" if word == "-A" else word for word in rule]
        calls = [([find(name), *words], "") for name in ("iptables", "ip6tables") for words in (rule, undo)]
    with machine.inside():
        for words, text in calls:
            done = subprocess.run(
                words, input=text, capture_output=True, text=True, timeout=PATIENCE, check=False
            )
            if done.returncode != 0:
                return f"{words[0]}: {done.stderr.strip()}"
    return ""


def _call(*words: str) -> None:
    done = subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE, check=False)
    if done.returncode != 0:
        raise NotPermitted(f"{' '.join(words)}: {done.stderr.strip()}")
