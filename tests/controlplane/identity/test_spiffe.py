"""There is one spelling of a SPIFFE id, and whatever else is refused."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tulle.controlplane.identity.spiffe import SpiffeId, parse, parse_workload, service

LETTERS = string.ascii_letters + string.digits + "._-"
segments = st.text(LETTERS, min_size=1, max_size=20).filter(lambda segment: segment not in (".", ".."))
domains = st.text(string.ascii_lowercase + string.digits + "._-", min_size=1, max_size=40)


def test_an_id_has_its_parts() -> None:
    identity = parse("spiffe://example.org/ns/shop/sa/web")
    assert identity == SpiffeId("example.org", "/ns/shop/sa/web")
    assert (identity.namespace, identity.service_account) == ("shop", "web")
    assert str(identity) == "spiffe://example.org/ns/shop/sa/web"
    assert identity == service("example.org", "shop", "web")


@pytest.mark.parametrize(
    "text",
    [
        "spiffe://a/b",
        "spiffe://a/ns/x/sa/y/z",
        "spiffe://a/ns/x",
        "spiffe://a/NS/x/SA/y",
        "spiffe://a/x/ns/x/sa/y",
    ],
)
def test_other_paths_are_of_no_service_account(text: str) -> None:
    assert (parse(text).namespace, parse(text).service_account) == ("", "")


@given(domains, st.lists(segments, max_size=6))
def test_what_is_valid_comes_back_as_it_was(domain: str, path: list[str]) -> None:
    text = "spiffe://" + "/".join([domain, *path])
    assert str(parse(text)) == text
    assert parse(text).path == "".join(f"/{segment}" for segment in path)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "must begin with spiffe://"),
        ("https://example.org/web", "must begin with spiffe://"),
        ("SPIFFE://example.org/web", "must begin with spiffe://"),
        ("spiffe:/example.org/web", "must begin with spiffe://"),
        ("spiffe:///web", "trust domain is empty"),
        ("spiffe://", "trust domain is empty"),
        ("spiffe://Example.org/web", "'E' may not be in a trust domain"),
        ("spiffe://example.org:8443/web", "':' may not be"),
        ("spiffe://user@example.org/web", "'@' may not be"),
        ("spiffe://[::1]/web", "may not be in a trust domain"),
        ("spiffe://ex%61mple.org/web", "'%' may not be"),
        ("spiffe://" + "a" * 256 + "/web", "longer than 255 bytes"),
        ("spiffe://example.org/", "empty segment"),
        ("spiffe://example.org/web/", "empty segment"),
        ("spiffe://example.org//web", "empty segment"),
        ("spiffe://example.org/./web", "segment `.`"),
        ("spiffe://example.org/a/../web", "segment `..`"),
        ("spiffe://example.org/w%65b", "'%' may not be"),
        ("spiffe://example.org/web?x=1", "'?' may not be"),
        ("spiffe://example.org/web#x", "'#' may not be"),
        ("spiffe://example.org?x=1", "'?' may not be"),
        ("spiffe://example.org/we b", "' ' may not be"),
        ("spiffe://example.org/web\n", "may not be"),
        ("spiffe://example.org/web\0", "may not be"),
        ("spiffe://exämple.org/web", "'ä' may not be"),
        ("spiffe://example.org/wéb", "'é' may not be"),
        ("spiffe://example.org/" + "a" * 2030, "longer than 2,048 bytes"),
    ],
)
def test_what_is_wrong_is_said(text: str, what: str) -> None:
    with pytest.raises(ValueError) as error:
        parse(text)
    assert what in str(error.value)


def test_the_longest_are_taken() -> None:
    assert parse("spiffe://" + "a" * 255).trust_domain == "a" * 255
    start = "spiffe://example.org/"
    assert parse(start + "a" * (2048 - len(start)))


def test_a_workload_has_a_path() -> None:
    assert parse("spiffe://example.org").path == ""
    assert parse_workload("spiffe://example.org/web").path == "/web"
    with pytest.raises(ValueError, match="names a trust domain"):
        parse_workload("spiffe://example.org")


@pytest.mark.parametrize(
    ("namespace", "account"), [("", "web"), ("shop", ""), ("a/b", "web"), ("shop", "..")]
)
def test_a_service_is_checked(namespace: str, account: str) -> None:
    with pytest.raises(ValueError):
        service("example.org", namespace, account)
