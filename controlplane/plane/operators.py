"""What operators ask of a control plane, and services that register themselves. JSON, for the commands."""

import time
from typing import Any, NamedTuple
from urllib.parse import parse_qs

import msgspec
from msgspec import Struct

from tulle.controlplane.address import parse_address
from tulle.controlplane.load import Document
from tulle.controlplane.mesh.load import MeshError, Part, load_mesh, parse_part
from tulle.controlplane.mesh.model import MeshDocument, mutual_tls, spiffe_id
from tulle.controlplane.model_clusters import Endpoint
from tulle.controlplane.plane.http2 import Stream
from tulle.controlplane.plane.session import Session
from tulle.controlplane.plane.sources.base import LONGEST_LEASE, SHORTEST_LEASE, Content, Store
from tulle.controlplane.plane.state import Difference, Plane, replaced

LARGEST_DOCUMENT = 16 << 20  # bytes
LONGEST_WAIT = 600.0  # seconds


class Reply(NamedTuple):
    status: int
    body: bytes = b""
    content_type: str = "text/plain"


class LeaseRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """What a service sends to be found."""

    service: str
    endpoint: Endpoint
    seconds: float = 30.0
    end: bool = False


def as_json(content: Any, status: int = 200) -> Reply:
    return Reply(status, msgspec.json.encode(content) + b"\n", "application/json")


class Operators:
    """Answers what the commands ask."""

    def __init__(self, plane: Plane, store: Store) -> None:
        self.plane = plane
        self.store = store

    async def reply(self, stream: Stream) -> Reply:
        path, _, query = stream.path.partition("?")
        options = {key: values[-1] for key, values in parse_qs(query).items()}
        match stream.method, path:
            case "GET", "/v1/status":
                return as_json(self.status())
            case "GET", "/v1/services" | "/v1/routes" | "/v1/policies" | "/v1/sidecars":
                return as_json(self.get(path.rpartition("/")[2]))
            case "POST", "/v1/diff" | "/v1/apply" if not self.store.known:
                return Reply(503, f"the mesh is not read yet: {self.store.trouble}\n".encode())
            case "POST", "/v1/diff" | "/v1/apply":
                text = await stream.read_all(LARGEST_DOCUMENT)
                try:
                    part = self.document(options.get("name", ""), text)
                    if path == "/v1/diff":
                        return as_json(
                            [one._asdict() for one in self.plane.differences(self.content(), part)]
                        )
                    return await self.apply(part, text, float(options.get("wait", "0")))
                except MeshError as error:
                    return as_json({"errors": error.lines}, 422)
                except ValueError as error:
                    return as_json({"errors": [str(error)]}, 400)
            case _:
                return Reply(404, b"there is no such page\n")

    # -- look ---------------------------------------------------------------------------------------------

    def status(self) -> dict[str, Any]:
        plane = self.plane
        return {
            "serial": plane.serial,
            "services": len(plane.mesh.services) if plane.mesh else 0,
            "refused": plane.refused,
            "warnings": plane.warnings,
            "trouble": self.store.trouble,
            "sidecars": self.get("sidecars"),
        }

    def get(self, kind: str) -> list[dict[str, Any]]:
        mesh = self.plane.mesh
        if kind == "sidecars":
            return [self._sidecar(one) for _, one in sorted(self.plane.sessions.items())]
        if mesh is None:
            return []
        if kind == "services":
            return [
                {
                    "name": name,
                    "identity": spiffe_id(mesh, service.identity) if service.identity else "",
                    "mtls": mutual_tls(mesh, service),
                    "endpoints": [endpoint.address for endpoint in service.endpoints],
                    "calls": service.calls,
                }
                for name, service in sorted(mesh.services.items())
            ]
        if kind == "routes":
            return [
                {"service": name, "routes": msgspec.to_builtins(routes)}
                for name, routes in sorted(mesh.routes.items())
            ]
        return [
            {"name": name, **msgspec.to_builtins(policy)} for name, policy in sorted(mesh.policies.items())
        ]

    def _sidecar(self, session: Session) -> dict[str, Any]:
        now = time.time()
        return {
            "node": session.node.partition(" ")[2],
            "identity": session.identity,
            "state": session.state(),
            "version": session.active,
            "wanted": self.plane.version(session.identity),
            "connected": session.connected,
            "since": round(now - session.since, 1),
            "certificate_left": round(session.certificate_expires - now, 1),
            "program": session.program,
            "updates": session.updates,
            "error": session.last_error,
            "reasons": session.reasons,
        }

    # -- change -------------------------------------------------------------------------------------------

    def content(self) -> Content:
        return self.store.content()

    def document(self, name: str, text: bytes) -> Part:
        """A document that was sent. MeshError when it is none; ValueError for a name that it cannot have."""
        kind = {"yaml": "yaml", "yml": "yaml", "json": "json", "toml": "toml"}.get(name.rpartition(".")[2])
        if kind is None or "/" in name or name.startswith("."):
            raise ValueError(f"{name!r} is no name of a document; it ends in .yaml, .json or .toml")
        origin = self.store.origin(name)
        if not text:
            return Part(origin, Document(text, kind), MeshDocument())
        part = parse_part(origin, Document(text, kind))
        if part.content.control is not None:
            raise ValueError("`control` is for the file that the control plane is started with")
        return part

    async def apply(self, part: Part, text: bytes, wait: float) -> Reply:
        """Write a document into the store if the mesh with it is right; then wait until it is active."""
        content = self.content()
        if any(fault.origin != part.origin for fault in content.faults):
            raise MeshError(content.faults)
        loaded = load_mesh(replaced(content.parts, part), None, content.leases)
        differences: list[Difference] = self.plane.differences(content, part)
        await self.store.put(part.origin.rpartition("/")[2], text)
        self.plane.take(self.store.content())
        done: dict[str, Any] = {
            "warnings": [fault.text for fault in loaded.warnings],
            "identities": len(differences),
            "sidecars": sum(one.sidecars for one in differences),
        }
        if wait > 0:
            late = await self.plane.settled(min(wait, LONGEST_WAIT))
            done["late"] = [self._sidecar(session) for session in late]
        return as_json(done)

    async def lease(self, identity: str, is_operator: bool, stream: Stream) -> Reply:
        """Register an endpoint, for who has the identity of its service."""
        if stream.method != "POST":
            return Reply(405, b"leases take POST\n")
        asked = msgspec.json.decode(await stream.read_all(64 << 10), type=LeaseRequest)
        mesh = self.plane.mesh
        service = mesh.services.get(asked.service) if mesh is not None else None
        if mesh is None or service is None:
            return Reply(404, f"there is no service {asked.service!r} in the mesh\n".encode())
        owner = spiffe_id(mesh, service.identity) if service.identity else ""
        if not is_operator and identity != owner:
            return Reply(403, f"{asked.service} is of {owner or 'nobody'}, and not of {identity}\n".encode())
        try:
            parse_address(asked.endpoint.address)
        except ValueError as error:
            return Reply(400, f"{error}\n".encode())
        if asked.end:
            await self.store.end_lease(asked.service, asked.endpoint.address)
            return Reply(200, b"ended\n")
        seconds = min(max(asked.seconds, SHORTEST_LEASE), LONGEST_LEASE)
        await self.store.lease(asked.service, asked.endpoint, seconds)
        return as_json({"seconds": seconds})
