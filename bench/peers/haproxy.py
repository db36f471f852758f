"""HAProxy: one thread, server connections shared freely, bodies spliced, prefixes through a map (a tree)."""

import shutil
import signal
from collections.abc import Sequence
from pathlib import Path

from bench.demand import (
    BUSY_LIMIT,
    CONNECTION_LIMIT,
    SERVER_NAME,
    VERSION_PATH,
    Demand,
    Policy,
    cluster_name,
    route_path,
)
from bench.peers.base import Peer, first_version
from bench.process import Running


class Haproxy(Peer):
    name = "haproxy"
    access_log = "haproxy.log"  # it logs to its stdout

    def missing(self) -> str | None:
        return None if self._binary() else "it is not installed: apt-get install haproxy"

    def version(self) -> str:
        return first_version([self._binary(), "-v"])

    def files(self, demand: Demand, folder: Path) -> dict[str, str]:
        rules = []
        if demand.version is not None:
            answer = f'content-type text/plain string "{demand.version_body}"'
            rules.append(f"    http-request return status 200 {answer} if {{ path {VERSION_PATH} }}")
        if demand.routes:
            rules.append(f"    use_backend %[path,map_beg({folder}/routes.map)]")
        else:
            rules.append(f"    default_backend {cluster_name(0)}")
        if demand.access_log:
            rules.append("    option httplog\n    log global")
        backends = "\n".join(
            _backend(cluster_name(cluster), demand.endpoints, demand.policy)
            for cluster in range(demand.clusters)
        )
        text = (RAW if demand.raw else CONFIG).format(
            port=demand.port, rules="\n".join(rules), backends=backends,
            servers=f"maxconn {CONNECTION_LIMIT}{_server_tls(demand)}",
            bind=f"backlog 4096{_bind_tls(demand)}",
        )  # fmt: skip
        routes = "".join(
            f"{route_path(route)} {demand.cluster_of(route)}\n" for route in range(demand.routes)
        )
        return {"routes.map": routes, "haproxy.cfg": text}

    def command(self, demand: Demand, folder: Path) -> list[str]:
        return [self._binary(), "-W", "-f", f"{folder}/haproxy.cfg", "-p", f"{folder}/haproxy.pid"]

    def signal_reload(self, running: Running) -> None:
        running.signal(signal.SIGUSR2)

    @staticmethod
    def _binary() -> str:
        return shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin:/usr/local/sbin") or ""


def _bind_tls(demand: Demand) -> str:
    papers = demand.takes_tls()
    return f" ssl crt {papers.both} ca-file {papers.ca} verify required" if papers else ""


def _server_tls(demand: Demand) -> str:
    papers = demand.makes_tls()
    if not papers:
        return " proto h2" if demand.http2 else ""
    whom = f"verify required verifyhost {SERVER_NAME} sni str({SERVER_NAME})"
    return f" ssl crt {papers.both} ca-file {papers.ca} {whom}"


BALANCERS = {"round_robin": "roundrobin", "least_request": "leastconn", "random": "random"}


def _backend(name: str, ports: Sequence[int], policy: Policy) -> str:
    """A section; what the defaults say already is left out."""
    lines = [f"backend {name}", f"    balance {BALANCERS[policy.balancer]}"]
    if policy.try_timeout:
        lines.append(f"    timeout server {policy.try_timeout * 1e3:.0f}")
    if policy.timeout:
        lines.append(f"    timeout queue {policy.timeout * 1e3:.0f}")
    if policy.retries:
        lines.append(f"    retries {policy.retries}")
        lines.append(f"    retry-on {RETRIED}")
    server = ""
    if policy.breaker:
        server = f" maxconn {BUSY_LIMIT} {WATCHED} error-limit 20 inter 500ms rise 1"
    elif policy.ejection:
        server = f" {WATCHED} error-limit 5 inter 2s rise 15"
    elif policy.retries:
        server = " maxconn 0"
    lines += [f"    server {port} 127.0.0.1:{port}{server}" for port in ports]
    return "\n".join(lines)


RETRIED = "conn-failure empty-response junk-response response-timeout 500 502 503 504"
WATCHED = "check observe layer7 on-error mark-down"

CONFIG = """\
global
    maxconn 12000
    no strict-limits
    nbthread 1
    log stdout format raw local0
defaults
    mode http
    timeout connect 5s
    timeout client 1h
    timeout server 1h
    timeout http-keep-alive 1h
    option forwardfor
    option splice-response
    option splice-request
    http-reuse always
    default-server {servers}
frontend bench
    bind 127.0.0.1:{port} {bind}
    http-request set-header X-Forwarded-Proto http
    http-request set-header X-Request-Id %[uuid()]
{rules}
{backends}
"""

RAW = """\
global
    maxconn 12000
    no strict-limits
    nbthread 1
defaults
    mode tcp
    timeout connect 5s
    timeout client 1h
    timeout server 1h
    option splice-response
    option splice-request
    default-server {servers}
frontend bench
    bind 127.0.0.1:{port} {bind}
{rules}
{backends}
"""
