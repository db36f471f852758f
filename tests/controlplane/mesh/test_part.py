"""A sidecar is given exactly the services that it may call and those that it serves."""

import msgspec
import pytest

from tests.controlplane.mesh.meshes import SHOP, mesh
from tulle.controlplane.mesh.access import Access
from tulle.controlplane.mesh.part import Catalogue, part_of
from tulle.controlplane.mesh.resources import Key, version_of

WEB, CART, STOCK = (f"spiffe://shop.example/ns/shop/sa/{name}" for name in ("web", "cart", "stock"))


def names(identity: str, text: str = SHOP) -> set[Key]:
    return set(part_of(mesh(text), identity))


def of_service(name: str, routes: bool = True) -> set[Key]:
    found = {("service", name), ("endpoints", name)}
    return found | {("routes", name)} if routes else found


def test_those_that_it_calls_with_the_targets_of_their_routes() -> None:
    assert names(WEB) == {
        ("settings", ""),
        ("serve", "web"),
        *of_service("cart"),
        *of_service("cart-v2", routes=False),
    }


def test_all_services_of_one_identity() -> None:
    assert names(CART) == {
        ("settings", ""),
        ("serve", "cart"),
        ("serve", "cart-v2"),
        *of_service("stock"),
        *of_service("payment"),
    }


def test_one_that_calls_nobody_gets_nothing() -> None:
    assert names(STOCK) == {("settings", ""), ("serve", "stock")}


def test_one_that_says_nothing_may_call_all() -> None:
    text = SHOP.replace("    calls: [cart]\n", "")
    assert {name for kind, name in names(WEB, text) if kind == "service"} == set(mesh().services)


def test_one_that_serves_nothing_may_call_all() -> None:
    assert {
        name for kind, name in names("spiffe://shop.example/ns/ops/sa/batch") if kind == "service"
    } == set(mesh().services)


def test_a_part_does_not_grow_with_the_mesh() -> None:
    more = "".join(
        f"  other{n}: {{identity: /ns/o/sa/o{n}, calls: [], endpoints: [{{address: '10.1.0.{n}:1'}}]}}\n"
        for n in range(200)
    )
    large = SHOP.replace("routes:\n", more + "routes:\n", 1)
    small_part, large_part = part_of(mesh(), WEB), part_of(mesh(large), WEB)
    assert small_part == large_part


DENY = "defaults: {access: deny_all}\n"
POLICY = """
policies:
  p:
    services: [stock]
    action: %s
    rules: [%s]
"""


def by(who: str, key: str = "principals", more: str = "", to: str = "[]") -> str:
    """A rule about who asks."""
    return f"{{from: [{{{key}: ['{who}']{more}}}], to: {to}}}"


@pytest.mark.parametrize(
    ("text", "may"),
    [
        ("", True),
        (DENY, False),
        (DENY + POLICY % ("allow", "{}"), True),
        (DENY + POLICY % ("allow", by(CART)), True),
        (DENY + POLICY % ("allow", "{from: [{principals: ['spiffe://shop.example/ns/shop/*']}]}"), True),
        (DENY + POLICY % ("allow", "{from: [{principals: ['*/sa/cart']}]}"), True),
        (DENY + POLICY % ("allow", by(CART, to="[{methods: [GET]}]")), True),
        (POLICY % ("allow", by(WEB)), False),
        (POLICY % ("allow", by(CART, "not_principals")), False),
        (POLICY % ("allow", "{from: [{peer_addresses: [10.0.0.0/8]}]}"), True),
        (POLICY % ("deny", by(CART)), False),
        (POLICY % ("deny", by(CART, more=", peer_addresses: [10.0.0.0/8]")), True),
        (POLICY % ("deny", by(CART, to="[{paths: [/a]}]")), True),
        (POLICY % ("deny", by(WEB)), True),
        (POLICY % ("audit", "{}"), True),
        ((DENY + POLICY % ("allow", "{}")).replace("action", "dry_run: true\n    action"), False),
    ],
)  # fmt: skip
def test_policies_decide_who_may_call(text: str, may: bool) -> None:
    found = mesh(SHOP + text)
    assert Access(found).may_call(CART, "stock") is may
    assert (("service", "stock") in part_of(found, CART)) is may


def test_policies_go_to_those_that_serve() -> None:
    text = SHOP + POLICY % ("deny", "{to: [{paths: [/admin]}]}")
    assert ("policy", "p") in names(STOCK, text)
    assert ("policy", "p") not in names(WEB, text)


def test_defaults_are_filled_in() -> None:
    text = (
        SHOP
        + "defaults: {retries: {attempts: 7}, timeouts: {request: 3s}, circuit_breaker: {max_requests: 9}}"
    )
    part = part_of(mesh(text), WEB)
    [route] = msgspec.msgpack.decode(part["routes", "cart"].payload)
    assert route["retries"]["attempts"] == 7
    assert route["timeouts"]["request"] == "3s"
    called = msgspec.msgpack.decode(part["service", "cart"].payload)
    assert called["cluster"]["circuit_breaker"]["max_requests"] == 9


def test_the_same_part_has_the_same_version_wherever_it_is_made() -> None:
    one = version_of(Catalogue(mesh()).digests(WEB))
    assert one == version_of(Catalogue(mesh()).digests(WEB))
    assert one != version_of(Catalogue(mesh()).digests(CART))
    assert version_of({}) == ""


def with_endpoint(address: str) -> str:
    return SHOP.replace("10.0.0.2:15006", address)


def test_a_change_of_endpoints_changes_one_resource() -> None:
    first = Catalogue(mesh())
    before = first.digests(WEB)
    second = Catalogue(mesh(with_endpoint("10.0.0.9:15006"), first.mesh), first)
    after = second.digests(WEB)
    assert {key for key in after if after[key] != before.get(key)} == {("endpoints", "cart")}
    assert second.keys is first.keys
    assert second.resource(("service", "cart")) is first.resource(("service", "cart"))


def test_what_is_taken_over_is_what_would_be_made() -> None:
    """Over many changes of all kinds, a catalogue made from the one before equals one made anew."""
    texts = [
        SHOP,
        with_endpoint("10.0.0.9:15006"),
        SHOP.replace("weight: 9", "weight: 8"),
        SHOP + "defaults: {retries: {attempts: 2}}",
        SHOP + "defaults: {mtls: permissive}",
        SHOP + POLICY % ("deny", "{}"),
        SHOP.replace("shop.example\n", "other.example\n", 1),
        SHOP.replace("hostnames: [cart, ", "hostnames: ["),
        SHOP.replace("calls: [stock, payment]", "calls: [stock]"),
    ]
    catalogue: Catalogue | None = None
    for text in [*texts, *reversed(texts)]:
        found = mesh(text, catalogue.mesh if catalogue else None)
        catalogue = Catalogue(found, catalogue)
        for identity in (WEB, CART, STOCK, WEB.replace("shop.example", "other.example")):
            assert catalogue.part(identity) == Catalogue(mesh(text)).part(identity)
