"""Documents of a mesh to one mesh: parsed, put together and checked, every error at once with its place.

A document is a file, or a value of a store; what one of them has another may not have too. A mesh is taken
whole or not at all.
"""

from collections.abc import Iterable
from pathlib import Path as FilePath
from typing import Any, NamedTuple

import msgspec

from tulle.controlplane.findings import Finding, Report
from tulle.controlplane.load import Document, locate, parse, read_document
from tulle.controlplane.mesh.check import check_mesh
from tulle.controlplane.mesh.model import Defaults, Mesh, MeshDocument, Service
from tulle.controlplane.model_clusters import Endpoint
from tulle.controlplane.problems import ConfigError, Path, Positions, Problem, TextError
from tulle.controlplane.structure import check_structure

SECTIONS = ("services", "routes", "policies")


class Fault(NamedTuple):
    """A problem, and the document that has it."""

    origin: str
    problem: Problem

    @property
    def text(self) -> str:
        return self.problem.text(self.origin)


class MeshError(Exception):
    """A mesh that is refused, with everything that is wrong with it."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__("\n".join(fault.text for fault in faults))
        self.faults = faults

    @property
    def lines(self) -> list[str]:
        return [fault.text for fault in self.faults]


class Part(NamedTuple):
    """One document, parsed. Errors of its structure are in `findings`, with what was put in their place."""

    origin: str
    text: Document
    content: MeshDocument
    findings: tuple[Finding, ...] = ()
    replaced: tuple[Path, ...] = ()

    def positions(self) -> Positions:
        return locate(self.text)


class Lease(NamedTuple):
    """An endpoint that has registered itself."""

    service: str
    endpoint: Endpoint


class LoadedMesh(NamedTuple):
    """`odd` is what the checks have found; the warnings have also what the documents themselves gave."""

    mesh: Mesh
    warnings: list[Fault]
    odd: list[Finding]


class Leased:
    """Adds leased endpoints to services; the same service with the same leases stays the same object."""

    def __init__(self) -> None:
        self.known: dict[str, tuple[Service, list[Endpoint], Service]] = {}

    @property
    def count(self) -> int:
        """Endpoints that services have by leases."""
        return sum(len(endpoints) for _, endpoints, _ in self.known.values())

    def add(self, services: dict[str, Service], leases: Iterable[Lease]) -> dict[str, Service]:
        """Leases of services that there are not, and addresses that are there already, count for nothing."""
        by_service: dict[str, list[Endpoint]] = {}
        for lease in leases:
            by_service.setdefault(lease.service, []).append(lease.endpoint)
        with_leases = dict(services)
        known = {}
        for name, endpoints in by_service.items():
            service = services.get(name)
            if service is None:
                continue
            before = self.known.get(name)
            if before is None or before[0] is not service or before[1] != endpoints:
                there = {endpoint.address for endpoint in service.endpoints}
                new = [endpoint for endpoint in endpoints if endpoint.address not in there]
                merged = msgspec.structs.replace(service, endpoints=[*service.endpoints, *new])
                before = (service, endpoints, merged)
            known[name] = before
            with_leases[name] = before[2]
        self.known = known
        return with_leases


def read_part(path: FilePath, shown: str = "") -> Part:
    """Read a file; MeshError when it cannot be read or is no text of its kind."""
    origin = shown or str(path)
    try:
        return parse_part(origin, read_document(path))
    except ConfigError as error:
        raise MeshError([Fault(origin, problem) for problem in error.problems]) from None


def parse_part(origin: str, document: Document) -> Part:
    """A text taken apart; MeshError when it is not well-formed. Other errors wait for `load_mesh`."""
    try:
        data = parse(document)
    except TextError as error:
        line, column = error.position
        problem = Problem("syntax", "", error.message, line=line, column=column)
        raise MeshError([Fault(origin, problem)]) from None
    except RecursionError:
        raise MeshError([Fault(origin, Problem("syntax", "", "is nested too deeply"))]) from None
    try:
        return Part(origin, document, msgspec.convert({} if data is None else data, MeshDocument))
    except msgspec.ValidationError:
        repaired = check_structure(data, MeshDocument)
        return Part(origin, document, repaired.config, tuple(repaired.findings), tuple(repaired.replaced))


def load_mesh(
    parts: Iterable[Part],
    former: Mesh | None = None,
    leases: Iterable[Lease] = (),
    leased: Leased | None = None,
    odd: Iterable[Finding] = (),
) -> LoadedMesh:
    """One mesh of all parts; MeshError with everything that is wrong with any of them.

    What a part has that is the very same object as in `former` is not checked again; `odd` is what was found
    about that mesh.
    """
    return _Joining(list(parts)).load(former, leases, leased or Leased(), odd)


class _Joining:
    def __init__(self, parts: list[Part]) -> None:
        self.parts = parts
        self.owners: dict[tuple[str, str], int] = {}  # which part has it: section and name
        self.faults: list[tuple[int, Finding]] = []
        self.located: dict[int, Positions] = {}

    def load(
        self, former: Mesh | None, leases: Iterable[Lease], leased: Leased, odd: Iterable[Finding]
    ) -> LoadedMesh:
        joined: dict[str, dict[str, Any]] = {section: {} for section in SECTIONS}
        trust_domain: str | None = None
        defaults: Defaults | None = None
        ignored: set[Path] = set()
        for number, part in enumerate(self.parts):
            self.faults += [(number, finding) for finding in part.findings]
            ignored.update(part.replaced)
            content = part.content
            if content.trust_domain is not None:
                trust_domain = self._once(number, "trust_domain", trust_domain, content.trust_domain)
            if content.defaults is not None:
                defaults = self._once(number, "defaults", defaults, content.defaults)
            for section in SECTIONS:
                for name, item in getattr(content, section).items():
                    self._join(number, section, name, item, joined[section])
        if trust_domain is None:
            finding = Finding(
                "error", "missing-key", (), "'trust_domain' is missing",
                "Write that of the CA, as in trust_domain: shop.example.",
            )  # fmt: skip
            self.faults.append((0, finding))
            trust_domain = "placeholder"
        joined["services"] = leased.add(joined["services"], leases)
        mesh = _like(Mesh(trust_domain=trust_domain, defaults=defaults or Defaults(), **joined), former)
        clean = former if not self.faults else None
        found = check_mesh(mesh, Report(ignored), clean, odd)
        self.faults += [(self._owner(finding.path), finding) for finding in found]
        errors = [self._fault(*one) for one in self.faults if one[1].severity == "error"]
        if errors:
            raise MeshError(sorted(errors, key=lambda fault: (fault.origin, fault.problem.line)))
        return LoadedMesh(mesh, [self._fault(*one) for one in self.faults], found)

    def _once(self, number: int, section: str, before: Any, now: Any) -> Any:
        first = self.owners.setdefault((section, ""), number)
        if first != number and before != now:
            message = f"{self.parts[first].origin} says it too, and says something else"
            self.faults.append((number, Finding("error", "duplicate", (section,), message)))
        return now if before is None else before

    def _join(self, number: int, section: str, name: str, item: Any, into: dict[str, Any]) -> None:
        first = self.owners.setdefault((section, name), number)
        if first != number:
            message = f"{self.parts[first].origin} has {name!r} too"
            finding = Finding("error", "duplicate", (section, name), message, "Keep one of them.")
            self.faults.append((number, finding))
        else:
            into[name] = item

    def _owner(self, path: Path) -> int:
        if not path:
            return 0
        name = str(path[1]) if path[0] in SECTIONS and len(path) > 1 else ""
        return self.owners.get((str(path[0]), name), 0)

    def _fault(self, number: int, finding: Finding) -> Fault:
        if number >= len(self.parts):
            return Fault("mesh", finding.problem({}))
        if number not in self.located:
            self.located[number] = self.parts[number].positions()
        return Fault(self.parts[number].origin, finding.problem(self.located[number]))


def _like(mesh: Mesh, former: Mesh | None) -> Mesh:
    """The same with the sections of `former` where they are equal, so that they are known to be the same."""
    if former is None:
        return mesh
    changes: dict[str, Any] = {}
    for section in ("routes", "policies"):
        if getattr(mesh, section) == getattr(former, section):
            changes[section] = getattr(former, section)
    return msgspec.structs.replace(mesh, **changes) if changes else mesh
