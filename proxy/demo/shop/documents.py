"""The mesh as text: its first file, a document for each service, and what each sidecar is begun with.

They are there to be read, and to be applied changed.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tulle.proxy.demo.shop.network import (
    ADMIN_PORT,
    APPLICATION_PORT,
    CONTROL_PORT,
    INBOUND_PORT,
    OUTBOUND_PORT,
)
from tulle.proxy.demo.shop.services import DOMAIN, Service

DRAIN = 20  # seconds that a sidecar gives to what it has begun; less than it is given to leave


class Place(NamedTuple):
    """An endpoint of a service; `version` is as people say it, `v2`."""

    host: str
    version: str
    weight: int = 1


def mesh(control: str) -> str:
    """The first file of the mesh."""
    return f"""\
# The mesh of `tulle demo --mesh`. Each service has a document in mesh.d, put there by `tulle apply`.

trust_domain: {DOMAIN}

control:
  address: "{control}:{CONTROL_PORT}"
  admin: "{control}:{ADMIN_PORT}"
  ca: ca
  directories: [mesh.d]

defaults:
  mtls: strict                          # between sidecars nothing goes in plain
  retries: {{attempts: 2}}                # where it is certain that nothing was done yet
  outlier_detection: {{consecutive_5xx: 5, base_ejection_time: 30s}}
"""


def service(told: Service, places: Sequence[Place]) -> str:
    """The document of a service, with the endpoints that it has now."""
    lines = [
        "services:",
        f"  {told.name}:",
        f"    identity: {told.identity}",
        f"    calls: [{', '.join(told.calls)}]",
    ]
    if told.words:
        lines.append(f"    port: {APPLICATION_PORT}")
    if told.protocol != "http1":
        lines.append(f"    protocol: {told.protocol}")
    if told.hostname:
        lines.append(f"    hostnames: [{told.name}, {told.hostname}]")
    if told.words:
        lines.append("    endpoints:")
        lines += [
            f'      - {{address: "{place.host}:{INBOUND_PORT}", weight: {place.weight},'
            f" metadata: {{version: {place.version}}}}}"
            for place in places
        ]
    return "\n".join(lines) + "\n"


def retried(told: Service) -> str:
    """Routes of a service that fails now and then, for its document."""
    return f"""
routes:
  {told.name}:
    - name: all
      backends: [{{cluster: {told.name}}}]
      retries: {{attempts: 3, on: [connect-failure, reset, "503"]}}
"""


def guarded(told: Service, callers: Sequence[Service]) -> str:
    """A policy for a service, for its document: only these may call it."""
    principals = ", ".join(f'"spiffe://{DOMAIN}{caller.identity}"' for caller in callers)
    return f"""
policies:
  {told.name}-callers:
    services: [{told.name}]
    action: allow
    rules:
      - from: [{{principals: [{principals}]}}]
"""


def sidecar(host: str, control: str, folder: Path, outbound: str = "") -> str:
    """What the sidecar of an instance is begun with; all else comes from the control plane."""
    return f"""\
workers: 1
drain_timeout: {DRAIN}s
admin: {{address: "{host}:{ADMIN_PORT}"}}
control_plane:
  addresses: ["{control}:{CONTROL_PORT}"]
  state_dir: {folder / "state"}
  token_file: {folder / "token"}
  outbound: "{outbound or f"{host}:{OUTBOUND_PORT}"}"
  inbound: "{host}:{INBOUND_PORT}"
  application_host: "{host}"
"""
