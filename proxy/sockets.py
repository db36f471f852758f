"""Listening sockets: bound once by the master, shared by all workers.

`SO_REUSEPORT` is never set: a port in use is an error at once, and no queued connection belongs to one worker
alone.
"""

import contextlib
import errno
import os
import socket
import stat

from tulle.proxy.failure import Failure

BACKLOG = 4096  # the system lowers it to net.core.somaxconn


def bind(address: str, mode: int | None = None) -> socket.socket:
    """A non-blocking listening socket on `host:port`, `[v6]:port` or `unix:/path`; port 0 takes any that is
    free.

    `mode`: permissions of a Unix socket. `Failure` says what hinders it and what to do.
    """
    try:
        if address.startswith("unix:"):
            return _bind_unix(address[5:], mode)
        return _bind_port(address)
    except OSError as error:
        raise Failure(f"cannot listen on {address}: {_reason(error, address)}") from None


def name(listening: socket.socket) -> str:
    """The address that a socket listens on, as the configuration writes it."""
    bound = listening.getsockname()
    if isinstance(bound, str):
        return f"unix:{bound}"
    if isinstance(bound, bytes):
        return f"unix:@{bound[1:].decode()}"
    host, port = bound[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def close(listening: socket.socket) -> None:
    """Close a listening socket for good, with its file if it has one."""
    bound = listening.getsockname()
    listening.close()
    if isinstance(bound, str) and bound:
        with contextlib.suppress(OSError):
            os.unlink(bound)


def _bind_port(address: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    name = host.encode() if host.isascii() else host  # what is encoded here spares the tables of Unicode
    found = socket.getaddrinfo(name, int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, kind, protocol, _, where = found[0]
    listening = socket.socket(family, kind | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC, protocol)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # accepted ones inherit it
        if family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listening.bind(where)
        listening.listen(BACKLOG)
    except OSError:
        listening.close()
        raise
    return listening


def _bind_unix(path: str, mode: int | None) -> socket.socket:
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        if path.startswith("@"):
            listening.bind(b"\0" + path[1:].encode())
        else:
            _remove_stale(path)
            mask = os.umask(0o777 & ~mode) if mode is not None else None
            try:
                listening.bind(path)
            finally:
                if mask is not None:
                    os.umask(mask)
        listening.listen(BACKLOG)
    except OSError:
        listening.close()
        raise
    return listening


def _remove_stale(path: str) -> None:
    """Remove the file of a socket that nobody listens on any more."""
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            raise OSError(errno.EEXIST, "a file that is no socket is in the way")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
            return
    raise OSError(errno.EADDRINUSE, "somebody listens there")


def _reason(error: OSError, address: str) -> str:
    if isinstance(error, socket.gaierror):
        return (
            f"the host is not known ({error.strerror}); write an address of this machine, such as 127.0.0.1"
        )
    if error.errno == errno.EADDRINUSE:
        if address.startswith("unix:"):
            return "another process listens there; stop it or choose another path"
        port = address.rpartition(":")[2]
        owner = f"`ss -ltnp 'sport = :{port}'` shows who has it"
        return f"the port is in use; {owner}; stop that process or choose another port"
    if error.errno in (errno.EACCES, errno.EPERM):
        if address.startswith("unix:"):
            return "no permission; let this user write to the directory or choose another path"
        return "no permission; ports below 1024 need root or CAP_NET_BIND_SERVICE, or choose another port"
    if error.errno == errno.EADDRNOTAVAIL:
        return "this machine does not have that address; `ip address` lists those that it has"
    if error.errno == errno.ENOENT:
        return "the directory does not exist; make it or choose another path"
    return f"{error.strerror or error}"
