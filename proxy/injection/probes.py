"""Health probes, which the kubelet sends in plain from outside of the mesh: led to a port of the sidecar.

That port (`settings.PROBE_PORT`) is not redirected and takes plain connections, but lets pass nothing but the
probes that are written here: for each an exact path, forwarded to the application's own port and path. A
`tcpSocket` probe would always find the sidecar, so the sidecar is asked whether the application takes
connections. `exec` stays.
"""

import json
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import yaml

from tulle.proxy.injection.edited_text import EditedText, Entry, is_flow
from tulle.proxy.injection.settings import PROBE_PORT

PROBES = ("startupProbe", "readinessProbe", "livenessProbe")
HOOKS = ("postStart", "preStop")
HANDLERS = ("httpGet", "tcpSocket", "grpc")
GRPC_PATH = "/grpc.health.v1.Health/Check"
PATH = "/tulle/probes"
READY_PATH = "/tulle/ready"


@dataclass(frozen=True)
class Target:
    """What a probe asks: `path` with its query for HTTP, else empty."""

    kind: str
    port: int
    path: str = ""


class Original(NamedTuple):
    """A handler as it was written: of `group/container/probe`, from this column on."""

    at: str
    column: int
    raw: str


@dataclass
class Rewritten:
    """`originals`: for the status, so that it can be undone. `targets`: by the path on the sidecar's port."""

    originals: list[Original] = field(default_factory=list)
    targets: dict[str, Target] = field(default_factory=dict)
    grpc_ports: list[int] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def rewrite_probes(text: EditedText, spec: Entry) -> Rewritten:
    """Have all probes of a pod's containers go to the sidecar."""
    done = Rewritten()
    for group in ("initContainers", "containers"):
        containers = text.get(spec, group)
        for container in text.items(containers) if containers is not None else []:
            if isinstance(container.value, dict):
                _container(text, group, container, done)
    return done


def _container(text: EditedText, group: str, container: Entry, done: Rewritten) -> None:
    name = f"{group}/{container.value.get('name', '')}"
    ports = {
        port.get("name"): port.get("containerPort")
        for port in container.value.get("ports") or []
        if isinstance(port, dict)
    }
    for probe in PROBES:
        found = text.get(container, probe)
        if found is not None and isinstance(found.value, dict):
            _probe(text, found, f"{name}/{probe}", ports, done)
    lifecycle = text.get(container, "lifecycle")
    if lifecycle is not None and isinstance(lifecycle.value, dict):
        for hook in HOOKS:
            found = text.get(lifecycle, hook)
            if found is not None and isinstance(found.value, dict):
                _probe(text, found, f"{name}/{hook}", ports, done)


def _probe(text: EditedText, probe: Entry, at: str, ports: dict[Any, Any], done: Rewritten) -> None:
    name = at.partition("/")[2]
    kind = next((kind for kind in HANDLERS if kind in probe.value), None)
    handler = text.get(probe, kind) if kind is not None else None
    if handler is None or handler.key is None or not isinstance(handler.value, dict):
        return
    asked = handler.value
    number = ports.get(asked.get("port"), asked.get("port"))
    if isinstance(number, str) and number.isdigit():
        number = int(number)
    reason = ""
    if not isinstance(number, int):
        reason = f"its port {asked.get('port')!r} is not among the ports of the container"
    elif asked.get("host"):
        reason = "it asks another host"
    elif kind == "httpGet" and str(asked.get("scheme", "HTTP")).upper() != "HTTP":
        reason = "it asks in HTTPS, which only the application can answer"
    if reason or not isinstance(number, int):
        done.notes.append(
            f"{name} stays as it is, since {reason};"
            " under strict mutual TLS exclude its port from redirection"
        )
        return
    text.refuse_alias(probe)
    text.refuse_alias(handler)
    new = _new_handler(kind or "", asked, number, name, done)
    start, end = handler.key.start_mark.index, text.content_end(handler.node)
    done.originals.append(Original(at, handler.key.start_mark.column, text.text[start:end]))
    text.replace(start, end, _one_line(new, is_flow(probe.node)))


def _new_handler(kind: str, asked: dict[str, Any], port: int, name: str, done: Rewritten) -> dict[str, Any]:
    if kind == "grpc":
        if port not in done.grpc_ports:
            done.grpc_ports.append(port)
        # Its path is fixed, so each port of the application needs one here
        return {"grpc": {**asked, "port": PROBE_PORT + done.grpc_ports.index(port)}}
    path = f"{PATH}/{name}"
    if kind == "tcpSocket":
        done.targets[path] = Target(kind, port)
        return {"httpGet": {"path": f"{path}?port={port}", "port": PROBE_PORT}}
    original = str(asked.get("path") or "/")
    original = original if original.startswith("/") else f"/{original}"
    before, mark, query = original.partition("?")
    done.targets[path] = Target(kind, port, before)
    return {"httpGet": {**asked, "path": f"{path}{mark}{query}", "port": PROBE_PORT}}


def _one_line(handler: dict[str, Any], flow: bool) -> str:
    text = json.dumps(handler, ensure_ascii=False)[1:-1]
    if flow:
        return text
    key, _, value = text.partition(": ")
    return f"{json.loads(key)}: {value}"


def restore_probes(text: EditedText, spec: Entry, originals: list[Original]) -> None:
    """Undo it, as far as the probes are still where they were."""
    for original in originals:
        probe = _find_probe(text, spec, original.at)
        kind = next((kind for kind in HANDLERS if kind in probe.value), None) if probe is not None else None
        handler = text.get(probe, kind) if probe is not None and kind is not None else None
        if probe is None or handler is None or handler.key is None:
            continue
        raw = original.raw
        column = handler.key.start_mark.column
        if column != original.column and "\n" in raw:
            # The file was written anew since: what it meant, in one line
            readable = raw.replace("\t", " ") if raw.startswith('"') else raw
            meant = yaml.safe_load(" " * original.column + readable)
            raw = _one_line(meant, is_flow(probe.node))
        text.replace(handler.key.start_mark.index, text.content_end(handler.node), raw)


def _find_probe(text: EditedText, spec: Entry, at: str) -> Entry | None:
    group, _, rest = at.partition("/")
    name, _, probe = rest.partition("/")
    containers = text.get(spec, group)
    for container in text.items(containers) if containers is not None else []:
        if isinstance(container.value, dict) and container.value.get("name") == name:
            holder: Entry | None = text.get(container, "lifecycle") if probe in HOOKS else container
            found = text.get(holder, probe) if holder is not None else None
            return found if found is not None and isinstance(found.value, dict) else None
    return None
