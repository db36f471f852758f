"""nginx: one worker, upstream connections kept alive, bodies streamed and never put into files."""

import shutil
import signal
from pathlib import Path

from bench.demand import CONNECTION_LIMIT, SERVER_NAME, VERSION_PATH, Demand, cluster_name, route_path
from bench.peers.base import Peer, first_version
from bench.process import Running


def nginx_binary() -> str:
    """Its path, or nothing."""
    return shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin") or ""


class Nginx(Peer):
    name = "nginx"

    def missing(self) -> str | None:
        return None if nginx_binary() else "it is not installed: apt-get install nginx-light"

    def version(self) -> str:
        return first_version([nginx_binary(), "-v"])

    def files(self, demand: Demand, folder: Path) -> dict[str, str]:
        servers = " ".join(
            f"server 127.0.0.1:{port} max_conns={CONNECTION_LIMIT};" for port in demand.endpoints
        )
        pool = "keepalive 512; keepalive_requests 1000000000; keepalive_timeout 1h;"
        scheme = "https" if demand.makes_tls() else "http"
        upstreams = "\n".join(
            f"    upstream {cluster_name(cluster)} {{ {servers} {pool} }}"
            for cluster in range(demand.clusters)
        )
        locations = [
            f"        location {route_path(route)} {{ proxy_pass http://{demand.cluster_of(route)}; }}"
            for route in range(demand.routes)
        ] or [f"        location / {{ proxy_pass {scheme}://{cluster_name(0)}; }}"]
        if demand.version is not None:
            locations.append(f'        location = {VERSION_PATH} {{ return 200 "{demand.version_body}"; }}')
        log = f"{folder}/access.log combined buffer=64k flush=1s" if demand.access_log else "off"
        text = CONFIG.format(
            folder=folder, log=log, upstreams=upstreams, locations="\n".join(locations),
            listen=f"127.0.0.1:{demand.port} backlog=4096{' ssl' if demand.takes_tls() else ''}",
            tls="\n".join(f"    {line};" for line in _tls(demand)),
        )  # fmt: skip
        return {"nginx.conf": text}

    def command(self, demand: Demand, folder: Path) -> list[str]:
        return [nginx_binary(), "-p", str(folder), "-c", f"{folder}/nginx.conf", "-e", "stderr"]

    def signal_reload(self, running: Running) -> None:
        running.signal(signal.SIGHUP)


def _tls(demand: Demand) -> list[str]:
    if papers := demand.takes_tls():
        return [
            f"ssl_certificate {papers.certificate}", f"ssl_certificate_key {papers.key}",
            f"ssl_client_certificate {papers.ca}", "ssl_verify_client on", "ssl_protocols TLSv1.2 TLSv1.3",
        ]  # fmt: skip
    if papers := demand.makes_tls():
        return [
            f"proxy_ssl_certificate {papers.certificate}", f"proxy_ssl_certificate_key {papers.key}",
            f"proxy_ssl_trusted_certificate {papers.ca}", "proxy_ssl_verify on", "proxy_ssl_server_name on",
            f"proxy_ssl_name {SERVER_NAME}", "proxy_ssl_protocols TLSv1.2 TLSv1.3",
        ]  # fmt: skip
    return []


CONFIG = """\
daemon off;
user root;
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr error;
events {{ worker_connections 16000; }}
http {{
    access_log {log};
    keepalive_timeout 1h;
    keepalive_requests 1000000000;
    client_max_body_size 0;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    proxy_http_version 1.1;
    proxy_request_buffering off;
    proxy_max_temp_file_size 0;
    proxy_set_header Connection "";
    proxy_set_header Host $host;
    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    proxy_set_header X-Forwarded-Proto $scheme;
    proxy_set_header X-Request-Id $request_id;
{tls}
{upstreams}
    server {{
        listen {listen};
{locations}
    }}
}}
"""
