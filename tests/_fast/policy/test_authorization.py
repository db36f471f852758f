"""Authorization policies, asked as workers ask them: what matches, in which order, and what is counted."""

import ipaddress
import struct
from typing import Any

import msgspec
import pytest

from tulle._fast.policy.authorization_view import Authorizer
from tulle.controlplane.compile import routes_image
from tulle.controlplane.load import Document, load_document
from tulle.controlplane.tabulate import tabulate

Section = dict[str, Any]
SHOP = b"spiffe://mesh.example/ns/shop/sa/cart"
EVERYTHING: Section = {}


def address(text: str) -> bytes:
    parsed = ipaddress.ip_address(text)
    return parsed.packed if parsed.version == 6 else bytes(10) + b"\xff\xff" + parsed.packed


def claims(**values: str) -> bytes:
    """Records as the verifier makes them; the names are `c0`, `c1` and so on."""
    rows = [(int(name[1:]), value.encode()) for name, value in values.items()]
    return b"".join(struct.pack("=HHI", 0, index, len(value)) + value for index, value in rows)


class Court:
    """Two listeners, `web` and `inner`, with the routes `cart` and `all` of the table `main`."""

    def __init__(self, **policies: Section) -> None:
        config = {
            "listeners": [
                {"name": "web", "address": "127.0.0.1:8080", "routes": "main"},
                {"name": "inner", "address": "127.0.0.1:8081", "routes": "main"},
                {"name": "other", "address": "127.0.0.1:8082", "routes": "other"},
            ],
            "routes": {
                "main": [
                    {"name": "cart", "matches": [{"path": {"prefix": "/cart"}}], "response": {}},
                    {"name": "all", "response": {}},
                ],
                "other": [{"name": "all", "response": {}}],
            },
            "policies": policies,
            "jwt": {"staff": {"issuer": "https://id.example.com", "keys": {"file": "/keys.json"}}},
        }
        loaded = load_document(Document(msgspec.json.encode(config), "json"))
        self.names = list(policies)
        self.authorizer = Authorizer(bytes(routes_image(tabulate(loaded.config))))

    def ask(
        self,
        path: str = "/",
        *fields: tuple[bytes, bytes],
        method: bytes = b"GET",
        host: bytes = b"shop.example.com",
        listener: int = 0,
        route: int | None = 1,
        connection: bool = False,
        **facts: bytes,
    ) -> tuple[bool, str | None, list[tuple[str | None, str]]]:
        """Allowed or not, by which policy, and what was counted."""
        request = None if connection else (method, host, path.encode(), list(fields))
        allowed, decider, counted, _ = self.authorizer.ask(listener, route, request, **facts)
        return allowed, self.name(decider), [(self.name(policy), outcome) for policy, outcome in counted]

    def name(self, index: int | None) -> str | None:
        return None if index is None else self.names[index]

    def allows(self, *arguments: Any, **facts: Any) -> bool:
        return self.ask(*arguments, **facts)[0]


def allow(*rules: Section, **more: Any) -> Section:
    return {"action": "allow", "rules": list(rules), **more}


def deny(*rules: Section, **more: Any) -> Section:
    return {"action": "deny", "rules": list(rules), **more}


def source(**parts: Any) -> Section:
    return {"from": [parts]}


def target(**parts: Any) -> Section:
    return {"to": [parts]}


def when(**parts: Any) -> Section:
    return {"when": [parts]}


# -- the order -------------------------------------------------------------------------------------------


def test_without_policies_all_is_allowed() -> None:
    assert Court().ask() == (True, None, [])


def test_deny_comes_before_allow_whatever_the_order_of_the_file() -> None:
    court = Court(open=allow(EVERYTHING), closed=deny(target(paths=["/admin*"])))
    assert court.ask("/") == (True, "open", [("open", "allowed")])
    assert court.ask("/admin/x") == (False, "closed", [("closed", "denied")])


def test_who_is_denied_by_none_is_allowed_while_there_is_no_allow_policy() -> None:
    court = Court(closed=deny(target(paths=["/admin"])))
    assert court.ask("/") == (True, None, [])


def test_once_there_is_an_allow_policy_the_rest_is_denied() -> None:
    court = Court(first=allow(target(paths=["/a"])), second=allow(target(paths=["/b"])))
    assert court.ask("/b") == (True, "second", [("second", "allowed")])
    assert court.ask("/c") == (False, None, [(None, "denied")])


def test_an_allow_policy_without_rules_denies_all() -> None:
    assert Court(nothing=allow()).ask() == (False, None, [(None, "denied")])
    assert Court(nothing=allow(), more=allow(EVERYTHING)).allows()


def test_a_deny_policy_without_rules_denies_nothing() -> None:
    assert Court(nothing=deny()).ask() == (True, None, [])


def test_policies_of_another_listener_are_not_asked() -> None:
    court = Court(inner=allow(target(paths=["/a"]), listeners=["inner"]))
    assert court.ask("/b") == (True, None, [])
    assert court.ask("/b", listener=1) == (False, None, [(None, "denied")])
    assert court.ask("/b", listener=2, route=2) == (True, None, [])


def test_policies_of_routes_are_asked_for_these_alone() -> None:
    court = Court(cart=allow(source(principals=["a"]), routes={"main": ["cart"]}))
    assert court.ask("/cart", route=0) == (False, None, [(None, "denied")])
    assert court.allows("/cart", route=0, principal=b"a")
    assert court.ask("/", route=1) == (True, None, [])
    assert court.ask("/", route=None) == (True, None, [])


def test_policies_of_a_whole_table() -> None:
    court = Court(main=deny(EVERYTHING, routes={"main": []}))
    assert [court.allows(route=0), court.allows(route=1), court.allows(listener=2, route=2)] == [
        False,
        False,
        True,
    ]


def test_listeners_and_routes_must_both_be_right() -> None:
    court = Court(both=deny(EVERYTHING, routes={"main": ["cart"]}, listeners=["inner"]))
    assert court.allows("/cart", route=0)
    assert not court.allows("/cart", route=0, listener=1)
    assert court.allows("/", route=1, listener=1)


def test_the_policies_of_listener_and_route_are_one_set() -> None:
    court = Court(
        one=allow(source(principals=["a"])),
        two=allow(source(principals=["b"]), routes={"main": ["cart"]}),
        three=deny(target(methods=["DELETE"]), routes={"main": ["cart"]}),
    )
    assert court.ask("/cart", route=0, principal=b"b") == (True, "two", [("two", "allowed")])
    assert court.allows("/cart", route=0, principal=b"a")
    assert not court.allows("/", route=1, principal=b"b")
    assert court.ask("/cart", route=0, principal=b"a", method=b"DELETE")[:2] == (False, "three")


# -- rules -----------------------------------------------------------------------------------------------


def test_a_rule_is_all_of_its_parts_and_any_of_its_entries() -> None:
    rule = {
        "from": [{"principals": ["a"]}, {"peer_addresses": ["10.0.0.0/8"], "not_principals": ["x"]}],
        "to": [{"paths": ["/r"], "methods": ["GET", "HEAD"]}, {"hosts": ["h"]}],
        "when": [{"header": "X-One", "values": ["1"]}, {"header": "x-two", "not_values": ["2"]}],
    }
    court = Court(rule=allow(rule))
    one = (b"x-one", b"1")
    ten = address("10.1.2.3")
    assert court.allows("/r", one, principal=b"a")
    assert court.allows("/r", one, peer=ten)
    assert court.allows("/q", one, host=b"h", peer=ten)
    assert not court.allows("/r", one, peer=ten, principal=b"x")
    assert not court.allows("/r", one, principal=b"b")
    assert not court.allows("/r", one, principal=b"a", method=b"POST")
    assert not court.allows("/q", one, principal=b"a")
    assert not court.allows("/r", principal=b"a")
    assert not court.allows("/r", one, (b"x-two", b"2"), principal=b"a")


@pytest.mark.parametrize(
    ("pattern", "matching", "others"),
    [
        ("a", [b"a"], [b"", b"ab", b"A", b"ba"]),
        ("a*", [b"a", b"ab"], [b"", b"ba"]),
        ("*a", [b"a", b"ba"], [b"", b"ab"]),
        ("*", [b"a", b"*"], [b""]),
        ("spiffe://mesh.example/ns/shop/*", [SHOP], [b"spiffe://mesh.example/ns/shopping/sa/cart"]),
        ("*/sa/cart", [SHOP], [b"spiffe://mesh.example/ns/shop/sa/cart2"]),
    ],
)
def test_patterns(pattern: str, matching: list[bytes], others: list[bytes]) -> None:
    court = Court(only=allow(source(principals=[pattern])))
    assert [text for text in matching if not court.allows(principal=text)] == []
    assert [text for text in others if court.allows(principal=text)] == []
    court = Court(all_but=allow(source(not_principals=[pattern])))
    assert [text for text in matching if court.allows(principal=text)] == []
    assert [text for text in others if not court.allows(principal=text)] == []


def test_networks() -> None:
    court = Court(near=allow(source(peer_addresses=["10.16.0.0/12", "192.0.2.7", "2001:db8:8000::/33"])))
    inside = ["10.16.0.1", "10.31.255.255", "192.0.2.7", "2001:db8:8000::1", "::ffff:10.17.0.1"]
    outside = ["10.32.0.0", "10.15.255.255", "192.0.2.6", "2001:db8::1", "2001:db9:8000::"]
    assert [text for text in inside if not court.allows(peer=address(text))] == []
    assert [text for text in outside if court.allows(peer=address(text))] == []
    assert not court.allows(peer=b"")


def test_every_address_is_in_the_widest_network() -> None:
    four = Court(near=allow(source(peer_addresses=["0.0.0.0/0"])))
    assert four.allows(peer=address("1.2.3.4"))
    assert not four.allows(peer=address("2001:db8::1"))
    six = Court(near=allow(source(peer_addresses=["::/0"])))
    assert six.allows(peer=address("2001:db8::1"))


def test_peer_and_client_are_told_apart() -> None:
    court = Court(client=deny(source(client_addresses=["198.51.100.0/24"])))
    assert court.allows(peer=address("198.51.100.1"), client=address("10.0.0.1"))
    assert not court.allows(peer=address("10.0.0.1"), client=address("198.51.100.1"))


def test_what_is_not_known_equals_nothing_and_a_not_of_it_holds() -> None:
    assert not Court(a=allow(source(peer_addresses=["0.0.0.0/0"]))).allows()
    assert Court(a=allow(source(not_peer_addresses=["10.0.0.0/8"]))).allows()
    assert not Court(a=allow(when(header="x", values=["*"]))).allows()
    assert Court(a=allow(when(header="x", not_values=["*"]))).allows()
    assert not Court(a=allow(when(claim="c", values=["*"]))).allows()
    assert Court(a=allow(when(claim="c", not_values=["x"]))).allows()


def test_ports() -> None:
    court = Court(inner=deny(target(ports=[8081])))
    assert [court.allows(listener=0), court.allows(listener=1)] == [True, False]
    court = Court(not_inner=deny(target(not_ports=[8081])))
    assert [court.allows(listener=0), court.allows(listener=1)] == [False, True]


def test_hosts_are_compared_without_case() -> None:
    court = Court(shop=allow(target(hosts=["Shop.example.com", "*.Internal", "x.*"])))
    for host in (b"shop.EXAMPLE.com", b"a.internal", b"X.y"):
        assert court.allows(host=host)
    for host in (b"shop.example.comm", b"a.shop.example.com", b"internal", b"ax.y", b""):
        assert not court.allows(host=host)


def test_methods_and_paths_are_compared_with_case() -> None:
    court = Court(one=allow({"to": [{"paths": ["/a", "/b/*", "*.css"], "methods": ["GET", "P*"]}]}))
    for path, method in (("/a", b"GET"), ("/b/", b"PUT"), ("/b/c", b"POST"), ("/x/y.css", b"GET")):
        assert court.allows(path, method=method)
    for path, method in (
        ("/a/", b"GET"),
        ("/A", b"GET"),
        ("/b", b"GET"),
        ("/a", b"get"),
        ("/y.cssx", b"GET"),
    ):
        assert not court.allows(path, method=method)


# -- header fields ---------------------------------------------------------------------------------------

LINES = [(b"X-Role", b"guest"), (b"other", b"1"), (b"x-role", b"admin")]


def test_several_fields_are_one_value_where_it_allows() -> None:
    for values, expected in (
        (["guest"], False),
        (["admin"], False),
        (["guest,admin"], True),
        (["guest*"], True),
        (["guest,a*"], True),
        (["*t,admin"], True),
        (["*admin"], True),
        (["guestxadmin"], False),
        (["*"], True),
        (["*,"], False),
    ):
        assert Court(role=allow(when(header="x-role", values=values))).allows("/", *LINES) is expected, values


def test_each_of_several_fields_counts_where_it_denies() -> None:
    for values in (["guest"], ["admin"], ["guest,admin"], ["adm*"], ["*"]):
        assert not Court(role=deny(when(header="x-role", values=values))).allows("/", *LINES), values
    assert Court(role=deny(when(header="x-role", values=["root"]))).allows("/", *LINES)


def test_a_second_field_does_not_hide_the_first_from_a_not() -> None:
    """Allowed is who is no admin: one line of several that says so is enough to be none of those."""
    assert not Court(role=allow(when(header="x-role", not_values=["admin"]))).allows("/", *LINES)
    assert not Court(role=allow(when(header="x-role", not_values=["guest"]))).allows("/", *LINES)
    assert Court(role=allow(when(header="x-role", not_values=["root"]))).allows("/", *LINES)
    # denied is who is anything but a guest, and one line more makes it something else
    assert not Court(role=deny(when(header="x-role", not_values=["guest"]))).allows("/", *LINES)
    assert Court(role=deny(when(header="x-role", not_values=["guest"]))).allows("/", *LINES[:2])


# -- claims ----------------------------------------------------------------------------------------------


def test_claims() -> None:
    court = Court(
        staff=allow(when(claim="realm.roles", values=["staff", "ops*"])),
        tenant=deny(when(claim=["https://example.com/tenant"], not_values=["a"])),
    )
    assert court.allows(claims=claims(c0="guest") + claims(c0="staff") + claims(c1="a"))
    assert court.allows(claims=claims(c1="a", c0="ops-lead"))
    assert not court.allows(claims=claims(c0="guest", c1="a"))
    assert court.ask(claims=claims(c0="staff", c1="b"))[:2] == (False, "tenant")
    assert court.ask(claims=claims(c0="staff"))[:2] == (False, "tenant")


def test_records_that_are_cut_off_are_no_claims() -> None:
    court = Court(staff=allow(when(claim="role", values=["staff"])))
    whole = claims(c0="staff")
    assert court.allows(claims=whole)
    for length in range(len(whole)):
        assert not court.allows(claims=whole[:length])
    assert not court.allows(claims=struct.pack("=HHI", 0, 0, 0xFFFFFFFF) + b"staff")
    # a header field that is made of a claim is none
    assert not court.allows(claims=struct.pack("=HHI", 1, 0, 5) + b"staff")


# -- dry runs and audits ---------------------------------------------------------------------------------


def test_a_dry_run_that_denies_only_counts() -> None:
    court = Court(try_it=deny(target(paths=["/x"]), dry_run=True), open=allow(EVERYTHING))
    assert court.ask("/x") == (True, "open", [("open", "allowed"), ("try_it", "shadow_denied")])
    assert court.ask("/") == (True, "open", [("open", "allowed")])


def test_a_dry_run_that_allows_tells_of_who_would_be_left_out() -> None:
    court = Court(try_it=allow(target(paths=["/x"]), dry_run=True))
    assert court.ask("/x") == (True, None, [])
    assert court.ask("/") == (True, None, [("try_it", "shadow_denied")])


def test_a_dry_run_that_would_let_more_in() -> None:
    court = Court(real=allow(target(paths=["/a"])), try_it=allow(target(paths=["/b"]), dry_run=True))
    assert court.ask("/a") == (True, "real", [("real", "allowed")])
    assert court.ask("/b") == (False, None, [(None, "denied"), ("try_it", "shadow_allowed")])
    assert court.ask("/c") == (False, None, [(None, "denied")])


def test_dry_runs_of_routes() -> None:
    court = Court(try_it=deny(EVERYTHING, dry_run=True, routes={"main": ["cart"]}))
    assert court.ask("/cart", route=0) == (True, None, [("try_it", "shadow_denied")])
    assert court.ask("/", route=1) == (True, None, [])


def test_an_audit_decides_nothing() -> None:
    court = Court(
        noted=allow(target(paths=["/a*"])) | {"action": "audit"}, closed=deny(target(paths=["/ab"]))
    )
    assert court.ask("/a") == (True, None, [("noted", "audited")])
    assert court.ask("/ab") == (False, "closed", [("noted", "audited"), ("closed", "denied")])
    assert court.ask("/") == (True, None, [])


# -- connections without requests ------------------------------------------------------------------------


def test_of_a_connection_only_its_own_facts_are_known() -> None:
    court = Court(
        friends=allow(source(principals=["spiffe://mesh.example/*"])), bad=deny(target(ports=[8081]))
    )
    assert court.allows(connection=True, principal=SHOP)
    assert not court.allows(connection=True, principal=b"spiffe://else/")
    assert not court.allows(connection=True, principal=SHOP, listener=1)


def test_what_only_requests_have_makes_it_stricter() -> None:
    rule = source(principals=["a"]) | target(paths=["/x"])
    assert not Court(one=allow(rule)).allows(connection=True, principal=b"a")
    assert not Court(one=deny(rule)).allows(connection=True, principal=b"a")
    assert Court(one=deny(rule)).allows(connection=True, principal=b"b")
    assert not Court(one=deny(when(header="x", not_values=["1"]))).allows(connection=True)
    assert not Court(one=allow(when(claim="x", not_values=["1"]))).allows(connection=True)
