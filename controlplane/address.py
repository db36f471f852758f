"""Addresses: `host:port`, `[v6]:port` and `unix:/path`, taken apart and put into the kernel's form."""

import ipaddress
import re
import socket
import struct
from typing import NamedTuple

# RFC 1123 section 2.1, and "_" since service names have it
_HOST = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*\.?")
_DIGITS = re.compile(r"[0-9]{1,5}")
_NUMERIC_V4 = re.compile(r"[0-9.]+")
LONGEST_UNIX_PATH = 107  # bytes in sun_path, without the ending NUL


class SocketAddress(NamedTuple):
    """`host` is an IP address, a name to resolve, or with `port` None the path of a Unix socket."""

    host: str
    port: int | None

    @property
    def is_unix(self) -> bool:
        return self.port is None

    def __str__(self) -> str:
        if self.port is None:
            return f"unix:{self.host}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str, lowest_port: int = 1) -> SocketAddress:
    """An address taken apart; ValueError says what is wrong with it."""
    if text.startswith("unix:"):
        path = text[5:]
        if not path.startswith(("/", "@")):
            raise ValueError(
                f"{text!r}: the path of a Unix socket must begin with / (or @ for an abstract one)"
            )
        if len(path.encode()) > LONGEST_UNIX_PATH:
            raise ValueError(f"{text!r}: the path of a Unix socket may have {LONGEST_UNIX_PATH} bytes")
        return SocketAddress(path, None)
    host, colon, port = text.rpartition(":")
    if not colon:
        raise ValueError(f"{text!r} has no port; write host:port, [v6]:port or unix:/path")
    if not _DIGITS.fullmatch(port) or not lowest_port <= int(port) <= 65535:
        raise ValueError(f"{text!r}: the port must be a number from {lowest_port} to 65535")
    if host.startswith("[") and host.endswith("]"):
        try:
            return SocketAddress(str(ipaddress.IPv6Address(host[1:-1])), int(port))
        except ValueError:
            raise ValueError(f"{text!r}: {host[1:-1]!r} is not an IPv6 address") from None
    if ":" in host:
        raise ValueError(f"{text!r}: write an IPv6 address in brackets, as in [::1]:8080")
    if _NUMERIC_V4.fullmatch(host):
        try:
            socket.inet_pton(socket.AF_INET, host)
        except OSError:
            raise ValueError(f"{text!r}: {host!r} is not an IPv4 address") from None
    elif not _HOST.fullmatch(host) or len(host) > 253:
        raise ValueError(f"{text!r}: {host!r} is neither an IP address nor a host name")
    return SocketAddress(host, int(port))


def is_name(address: SocketAddress) -> bool:
    """Whether the host has to be resolved first."""
    return address.port is not None and ":" not in address.host and not _NUMERIC_V4.fullmatch(address.host)


def pack_sockaddr(address: SocketAddress) -> bytes:
    """The kernel's `struct sockaddr_*` of an address that needs no resolving."""
    if address.port is None:
        path = address.host.encode()
        name = b"\0" + path[1:] if path.startswith(b"@") else path + b"\0"
        return struct.pack("=H", socket.AF_UNIX) + name
    if ":" in address.host:
        packed = socket.inet_pton(socket.AF_INET6, address.host)
        return struct.pack("=H", socket.AF_INET6) + struct.pack("!HI", address.port, 0) + packed + bytes(4)
    packed = socket.inet_pton(socket.AF_INET, address.host)
    return struct.pack("=H", socket.AF_INET) + struct.pack("!H", address.port) + packed + bytes(8)
