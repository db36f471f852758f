"""x-forwarded-client-cert: who may send it through, and what is said there of who the client is."""

import hashlib
import ssl
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests._fast.flow.h2_peer import H2Peer
from tests._fast.flow.lab import Lab, Section
from tests._fast.flow.papers import CLIENT_ID, Papers, client_context
from tests._fast.flow.peers import Backend, Message, Peer, request, response
from tests._fast.flow.sidecar import until

FIELD = b"x-forwarded-client-cert"
FORGED = b"Hash=00;URI=spiffe://example.org/admin"
FORGERIES = (FIELD + b": " + FORGED, b"X-Forwarded-Client-CERT:Hash=11")
Start = Callable[..., Lab]


@pytest.fixture
def start(papers: Papers, tmp_path: Path) -> Iterator[Start]:
    """A sidecar with mutual TLS, where a certificate may be left out, in a mode; it is tidy at its end."""
    labs: list[Lab] = []

    def begin(mode: str, details: list[str] | None = None, **sections: Any) -> Lab:
        certificate, key = papers.issue("server", "DNS:localhost")
        tls = {
            "certificate": certificate,
            "key": key,
            "client_ca": papers.ca,
            "require_client_certificate": False,
            "alpn": ["h2", "http/1.1"],
        }
        listener: Section = {"tls": tls, "forward_client_cert_details": mode}
        if details is not None:
            listener["set_current_client_cert_details"] = details
        labs.append(Lab(tmp_path, listener=listener, **sections))
        return labs[-1]

    yield begin
    for lab in labs:
        with closing(lab):
            lab.tidy()


def secured(lab: Lab, papers: Papers, *names: str, protocol: str = "http/1.1") -> Peer:
    """A client with a certificate for these names, or without one."""
    pair = papers.issue("cart", *names) if names else None
    context = client_context(papers.ca, pair)
    context.set_alpn_protocols([protocol])
    return lab.keep(Peer(context.wrap_socket(lab.sidecar.connect(), server_hostname="localhost")))


def digest(papers: Papers) -> bytes:
    """Of the certificate that was issued last."""
    text = (papers.folder / "cart.crt").read_text()
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(text)).hexdigest().encode()


def told(lab: Lab, client: Peer, *fields: bytes) -> Message:
    """What the backend gets of a request with these fields."""
    client.send(request("GET", "/", *fields))
    upstream = lab.accept()
    seen = upstream.read_request()
    upstream.send(response(b"yes", b"connection: close"))
    assert client.read_response().status == 200
    upstream.close()
    return seen


def test_who_has_a_certificate_in_every_mode(start: Start, papers: Papers) -> None:
    ours = b"Hash=%s;URI=" + CLIENT_ID.encode()
    lab = start("sanitize")
    for mode, kept, added in (
        ("sanitize", 0, False),
        ("forward_only", 2, False),
        ("append_forward", 2, True),
        ("sanitize_set", 0, True),
        ("always_forward_only", 2, False),
    ):
        lab.config["listeners"][0]["forward_client_cert_details"] = mode
        lab.sidecar.reload(lab.config)
        client = secured(lab, papers, f"URI:{CLIENT_ID}")
        found = told(lab, client, *FORGERIES).all(FIELD)
        # The order tells: what this proxy says comes last
        assert found == [FORGED, b"Hash=11"][:kept] + [ours % digest(papers)] * added, mode
        assert len(told(lab, client).all(FIELD)) == added, mode
        # Who has none is believed nothing, but where everybody is
        stranger = secured(lab, papers)
        found = told(lab, stranger, *FORGERIES).all(FIELD)
        assert len(found) == (2 if mode == "always_forward_only" else 0), mode


def test_nobody_gets_it_through_in_the_clear(tmp_path: Path) -> None:
    with closing(Lab(tmp_path, listener={"trusted_hops": 1})) as lab:
        assert told(lab, lab.client(), *FORGERIES).all(FIELD) == []
        h2 = H2Peer(lab.client())
        stream = h2.ask(fields=[("x-forwarded-client-cert", FORGED.decode())])
        upstream = lab.accept()
        assert upstream.read_request().all(FIELD) == []
        upstream.send(response())
        h2.answer(stream)
        lab.tidy()


def test_all_that_may_be_told(start: Start, papers: Papers) -> None:
    lab = start("sanitize_set", ["dns", "subject", "uri"])
    names = (f"URI:{CLIENT_ID}", "DNS:a.example", "DNS:b.example")
    seen = told(lab, secured(lab, papers, *names)).one(FIELD)
    parts = b'Hash=%s;Subject="CN=cart";URI=%s;DNS=a.example;DNS=b.example'
    assert seen == parts % (digest(papers), CLIENT_ID.encode())
    # What could be taken for an element of its own is left out
    trickster = secured(lab, papers, "DNS:a.example", "URI:urn:x;URI=spiffe://example.org/admin")
    seen = told(lab, trickster).one(FIELD)
    assert seen == b'Hash=%s;Subject="CN=cart";DNS=a.example' % digest(papers)


def test_only_the_hash_may_be_told(start: Start, papers: Papers) -> None:
    lab = start("sanitize_set", [])
    assert told(lab, secured(lab, papers, "DNS:a.example")).one(FIELD) == b"Hash=" + digest(papers)


def test_it_is_told_after_a_resumption(start: Start, papers: Papers) -> None:
    lab = start("sanitize_set")
    context = client_context(papers.ca, papers.issue("cart", f"URI:{CLIENT_ID}"))
    first = context.wrap_socket(lab.sidecar.connect(), server_hostname="localhost")
    before = told(lab, lab.keep(Peer(first))).one(FIELD)
    again = context.wrap_socket(lab.sidecar.connect(), server_hostname="localhost", session=first.session)
    assert told(lab, lab.keep(Peer(again))).one(FIELD) == before
    assert again.session_reused


def test_clients_of_http2(start: Start, papers: Papers) -> None:
    """All that is known of a connection is known of each of its streams."""
    admin = {
        "action": "deny",
        "rules": [{"from": [{"principals": [CLIENT_ID]}], "to": [{"paths": ["/admin"]}]}],
    }
    lab = start("sanitize_set", policies={"admin": admin})
    h2 = H2Peer(secured(lab, papers, f"URI:{CLIENT_ID}", protocol="h2"))
    expected = b"Hash=%s;URI=%s" % (digest(papers), CLIENT_ID.encode())
    for _ in range(2):
        stream = h2.ask(fields=[("x-forwarded-client-cert", FORGED.decode())])
        upstream = lab.accept()
        seen = upstream.read_request()
        assert seen.one(FIELD) == expected
        assert seen.one(b"x-forwarded-proto") == b"https"
        upstream.send(response(b"yes", b"connection: close"))
        assert h2.answer(stream).status == 200
        upstream.close()
    assert h2.answer(h2.ask("/admin")).status == 403


def test_a_try_and_a_copy_are_told_the_same(start: Start, papers: Papers) -> None:
    with closing(Backend()) as shadow:
        lab = start(
            "sanitize_set",
            more_clusters={"shadow": {"endpoints": [{"address": shadow.address}]}},
            route={
                "mirror": [{"cluster": "shadow"}],
                "retries": {"attempts": 2, "on": ["reset"], "backoff": {"base": "1ms", "max": "1ms"}},
            },
        )
        client = secured(lab, papers, f"URI:{CLIENT_ID}")
        client.send(request("GET", "/", *FORGERIES))
        expected = [b"Hash=%s;URI=%s" % (digest(papers), CLIENT_ID.encode())]
        first = lab.accept()
        assert first.read_request().all(FIELD) == expected
        first.close()
        second = lab.accept()
        assert second.read_request().all(FIELD) == expected
        second.send(response())
        assert client.read_response().status == 200
        copy = lab.keep(shadow.accept()).read_request()
        assert copy.all(FIELD) == expected
        assert copy.one(b"x-forwarded-proto") == b"https"


def test_a_copy_outlives_its_client(start: Start, papers: Papers) -> None:
    """Its endpoint takes no connection until the client has gone."""
    with closing(Backend()) as shadow:
        lab = start(
            "sanitize_set",
            more_clusters={
                "shadow": {
                    "endpoints": [{"address": shadow.address}],
                    "circuit_breaker": {"max_connections": 1},
                }
            },
            route={"mirror": [{"cluster": "shadow"}]},
        )
        expected = b"Hash=%s;URI=" + CLIENT_ID.encode()
        client = secured(lab, papers, f"URI:{CLIENT_ID}")
        told(lab, client)
        blocking = lab.keep(shadow.accept())
        blocking.read_request()
        told(lab, client)
        client.close()
        until(lambda: lab.sidecar.total("downstream_active") == 0, "the client's connection is gone")
        blocking.send(response())
        assert blocking.read_request().one(FIELD) == expected % digest(papers)
        blocking.send(response())
