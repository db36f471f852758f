"""What is wrong with a mesh is told all at once, each with its document, line and a hint."""

import pytest

from tests.controlplane.mesh.meshes import SHOP, errors, mesh
from tulle.controlplane.load import Document
from tulle.controlplane.mesh.load import MeshError, load_mesh, parse_part
from tulle.controlplane.plane.sources.base import Content
from tulle.controlplane.plane.state import Plane


def test_the_shop_is_right() -> None:
    found = mesh()
    assert list(found.services) == ["web", "cart", "cart-v2", "stock", "payment"]
    assert found.trust_domain == "shop.example"


def test_all_errors_of_all_documents_at_once() -> None:
    found = errors(
        "trust_domain: shop.example\nservices:\n  a: {identity: /ns/x/sa/a, calls: [c], prot: 1}\n",
        "services:\n  b:\n    identity: spiffe://other.example/ns/x/sa/b\n"
        "    endpoints: [{address: nonsense}]\n"
        "routes:\n  b:\n    - {backends: [{cluster: bb}]}\n",
    )
    places = [line.partition(": ")[0] for line in found]
    assert places == ["1.yaml:3", "1.yaml:3", "2.yaml:3", "2.yaml:4", "2.yaml:7"]
    assert "services.a.prot: unknown key 'prot'. Did you mean port?" in found[0]
    assert "services.a.calls[0]: there is no service 'c'" in found[1]
    assert "of another trust domain than this mesh, shop.example. Write /ns/x/sa/b." in found[2]
    assert "services.b.endpoints[0].address: 'nonsense' has no port" in found[3]
    assert "routes.b[0].backends[0].cluster: there is no service 'bb'" in found[4]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("services: {a: {port: 80}}", "trust_domain' is missing"),
        ("trust_domain: 'Upper'", "may not be in a trust domain"),
        ("trust_domain: t\nservices: {a: {port: 80}}", "services.a.port: means nothing without"),
        ("trust_domain: t\nservices: {a: {mtls: strict}}", "services.a.mtls: means nothing without an"),
        ("trust_domain: t\nservices: {a: {identity: /}}", "services.a.identity: '/' is too short"),
        ("trust_domain: t\nservices: {a: {identity: /x//y}}", "has an empty segment"),
        ("trust_domain: t\nservices: {a: {}, b: {hostnames: [A]}}", "b.hostnames[0]: the service 'a'"),
        ("trust_domain: t\nservices: {a: {cluster: {endpoints: [{address: h:1}]}}}", "Write endpoints"),
        ("trust_domain: t\nservices: {a: {cluster: {choices: 1}}}", "a.cluster.choices: 1 is out of range"),
        ("trust_domain: t\nroutes: {a: []}", "routes.a: there is no service 'a'"),
        (
            "trust_domain: t\nservices: {a: {}}\nroutes: {a: [{hostnames: [x], backends: [{cluster: a}]}]}",
            "routes.a[0].hostnames: does not belong here",
        ),
        ("trust_domain: t\npolicies: {p: {services: [a]}}", "p.services[0]: there is no service 'a'"),
        (
            "trust_domain: t\npolicies: {p: {rules: [{from: [{principals: [/ns/a]}]}]}}",
            "Write spiffe://t/ns/a.",
        ),
        (
            "trust_domain: t\nservices: {a: {identity: /ns/x/sa/a, cluster: {health_checks: [{http: {}}]}}}",
            "HTTP checks over mutual TLS",
        ),
        ("trust_domain: t\nservices: {a: {cluster: {protocol: auto}}}", "a.cluster.protocol: is auto, but"),
        ("trust_domain: [", "syntax"),
    ],
)  # fmt: skip
def test_errors(text: str, wanted: str) -> None:
    if wanted == "syntax":
        with pytest.raises(MeshError) as raised:
            parse_part("mesh.yaml", Document(text.encode(), "yaml"))
        assert raised.value.lines[0].startswith("mesh.yaml:")
        return
    found = errors(text)
    assert len([line for line in found if wanted in line]) == 1, found


def test_two_documents_must_not_say_the_same() -> None:
    found = errors(
        "trust_domain: t\nservices: {a: {}}\ndefaults: {mtls: off}",
        "services: {a: {}}\ndefaults: {mtls: permissive}",
    )
    assert found == [
        "2.yaml:1: services.a: 1.yaml has 'a' too. Keep one of them.",
        "2.yaml:2: defaults: 1.yaml says it too, and says something else.",
    ]


def test_what_has_not_changed_is_not_checked_again_but_what_refers_to_it_is() -> None:
    parts = [
        parse_part(name, Document(text.encode(), "yaml"))
        for name, text in (
            ("a", "trust_domain: t\nservices: {a: {calls: [b]}}"),
            ("b", "services: {b: {}}"),
        )
    ]
    former = load_mesh(parts).mesh
    with pytest.raises(MeshError, match="there is no service 'b'"):
        load_mesh(parts[:1], former)
    further = parse_part("c", Document(b"services: {c: {endpoints: [{address: wrong}]}}", "yaml"))
    with pytest.raises(MeshError, match=r"services\.c\.endpoints\[0\]"):
        load_mesh([*parts, further], former)


def test_warnings_have_their_document_too() -> None:
    text = SHOP.replace("calls: [cart]", "calls: [cart]\n    cluster: {outlier_detection: {interval: 10s}}")
    found = load_mesh([parse_part("mesh.yaml", Document(text.encode(), "yaml"))])
    assert all(fault.origin == "mesh.yaml" for fault in found.warnings)


def test_a_change_of_defaults_has_all_services_checked_again() -> None:
    text = "trust_domain: t\nservices: {a: {identity: /ns/x/sa/a, cluster: {health_checks: [{http: {}}]}}}"
    services = parse_part("services.yaml", Document(text.encode(), "yaml"))
    plain, strict = (
        parse_part("defaults.yaml", Document(f"defaults: {{mtls: {mode}}}".encode(), "yaml"))
        for mode in ("off", "strict")
    )
    former = load_mesh([services, plain]).mesh
    with pytest.raises(MeshError, match="HTTP checks over mutual TLS"):
        load_mesh([services, strict], former)


def test_what_is_odd_is_told_again_of_what_is_not_checked_again() -> None:
    odd = (
        "trust_domain: t\nservices: {a: {cluster: {load_balancer: round_robin, choices: 3}}}\n"
        "routes: {a: [{backends: [{cluster: a}]}, {backends: [{cluster: a}]}]}\npolicies: {p: {action: deny}}"
    )
    right = odd.replace("action: deny", "action: allow").replace("load_balancer: round_robin, choices: 3", "")
    first, better, b, other_b = (
        parse_part(name, Document(text.encode(), "yaml"))
        for name, text in (
            ("a", odd), ("a", right), ("b", "services: {b: {}}"), ("b", "services: {b: {hostnames: [x]}}")
        )
    )  # fmt: skip
    plane = Plane()
    assert plane.take(Content([first, b], [], []))
    warnings = plane.warnings
    assert len(warnings) == 3
    assert plane.take(Content([first, other_b], [], []))
    assert plane.warnings == warnings
    assert plane.take(Content([better, other_b], [], []))
    assert plane.warnings == [line for line in warnings if "is never reached" in line]
