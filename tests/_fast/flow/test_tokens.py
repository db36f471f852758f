"""Tokens between a client and a backend: who gets through, who does not, and what happens to the verifier."""

import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from tests._fast.flow.h2_peer import H2Peer
from tests._fast.flow.lab import Lab, Section
from tests._fast.flow.peers import Backend, Message, Peer, request, response
from tests._fast.flow.sidecar import asleep, process_ids_of_session, until
from tests.proxy.tokens.issuer import Issuer
from tests.servers import QuietServer

ISSUER = "https://id.example"
QUESTIONS = 1024  # tokens that a worker asks about at a time
STREAMS = 256  # requests of one connection of HTTP/2
FLOOD = 5 * STREAMS


def claims(**more: Any) -> dict[str, Any]:
    return {"iss": ISSUER, "aud": "shop", "exp": int(time.time()) + 600, "sub": "alice", **more}


def bearer(token: bytes) -> bytes:
    return b"authorization: Bearer " + token


def ask(client: Peer, *fields: bytes, path: str = "/") -> Message:
    client.send(request("GET", path, *fields))
    return client.read_response()


def verifiers(lab: Lab) -> list[int]:
    """Process ids of those that verify tokens."""
    found = []
    for pid in process_ids_of_session(lab.sidecar.pid):
        try:
            if Path(f"/proc/{pid}/comm").read_text().strip() == "tulle-verifier":
                found.append(pid)
        except OSError:
            continue
    return found


def the_verifier(lab: Lab) -> int:
    """The one that there is, once it is there."""
    until(lambda: len(verifiers(lab)) == 1, "there is one verifier")
    return verifiers(lab)[0]


class House:
    """A sidecar, an issuer that it believes, and the file that has the issuer's keys."""

    def __init__(self, folder: Path, **more: Any) -> None:
        self.issuer = Issuer("ES256")
        self.file = folder / "jwks.json"
        self.publish(self.issuer)
        provider: Section = {
            "issuer": ISSUER,
            "audiences": ["shop"],
            "leeway": "0s",
            "keys": more.pop("keys", {"file": str(self.file)}),
            "claims_to_headers": {"X-User": "sub"},
            **more.pop("provider", {}),
        }
        guard = {"jwt": {"providers": ["main"], **more.pop("jwt", {})}} if more.pop("guarded", True) else {}
        self.lab = Lab(
            folder,
            jwt={"main": provider},
            listener={**guard, **more.pop("listener", {})},
            **{"route": {"backends": [], "response": {"body": "yes"}}, **more},
        )

    def publish(self, *issuers: Issuer) -> None:
        """Put the keys of these into the file, whole."""
        keys = [key for issuer in issuers for key in json.loads(issuer.jwks())["keys"]]
        other = self.file.with_suffix(".new")
        other.write_text(json.dumps({"keys": keys}))
        other.replace(self.file)

    def token(self, **more: Any) -> bytes:
        return self.issuer.token(claims(**more))


@contextmanager
def own_house(folder: Path, **more: Any) -> Iterator[House]:
    """One for a single test, which leaves it tidy."""
    found = House(folder, **more)
    with closing(found.lab):
        yield found
        found.lab.tidy()


@pytest.fixture(scope="module")
def shared_house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with own_house(tmp_path_factory.mktemp("house")) as found:
        yield found


@pytest.fixture
def house(shared_house: House) -> Iterator[House]:
    yield shared_house
    shared_house.lab.tidy()


def test_a_token_that_is_new_and_one_that_is_known(house: House) -> None:
    client = house.lab.client()
    token = house.token(jti="one")
    verified, known = house.lab.sidecar.total("tokens_verified"), house.lab.sidecar.total("tokens_known")
    assert [ask(client, bearer(token)).status for _ in range(3)] == [200, 200, 200]
    assert house.lab.sidecar.total("tokens_verified") == verified + 1
    assert house.lab.sidecar.total("tokens_known") == known + 2


def test_without_a_token(house: House) -> None:
    client = house.lab.client()
    for fields in (
        [],
        [b"authorization: Basic YTpi"],
        [b"authorization: Bearer "],
        [b"authorization: bearer"],
    ):
        answer = ask(client, *fields)
        assert answer.status == 401
        assert answer.one(b"www-authenticate") == b'Bearer realm="tulle"'
    assert ask(client, b"Authorization: BEARER " + house.token()).status == 200


def test_tokens_that_do_not_hold(house: House) -> None:
    client = house.lab.client()
    good = house.token()
    head, payload, _ = good.split(b".")
    for token in (
        house.token(aud="bank"),
        house.token(iss="https://evil.example"),
        house.token(exp=int(time.time()) - 1),
        house.token(nbf=int(time.time()) + 100),
        Issuer("ES256").token(claims()),
        good[:-4],
        payload,
        b"x" * 20_000,
        b"eyJhbGciOiJub25lIn0." + payload + b".",
        b".".join([head, payload, b""]),
        b"a.b.c",
        good + b" " + good,
    ):
        answer = ask(client, bearer(token))
        assert answer.status == 401, token
        assert answer.one(b"www-authenticate") == b'Bearer realm="tulle", error="invalid_token"'
    assert ask(client, bearer(good)).status == 200


def test_two_tokens_are_none(house: House) -> None:
    client = house.lab.client()
    answer = ask(client, bearer(house.token()), bearer(house.token(sub="bob")))
    assert answer.status == 400
    assert answer.one(b"www-authenticate") == b'Bearer realm="tulle", error="invalid_request"'


def test_an_end_is_seen_at_each_use(house: House) -> None:
    client = house.lab.client()
    end, status = 0.0, 401
    while status == 401:  # on a busy machine the first may have expired before it is seen
        assert time.time() >= end, "it is refused before its end"
        end = time.time() + (4.0 if end else 1.5)
        token = house.token(exp=end)
        status = ask(client, bearer(token)).status
    assert status == 200
    until(lambda: ask(client, bearer(token)).status == 401, "it has expired")


def test_many_that_wait_for_one_token(house: House) -> None:
    token = house.token(jti="many")
    verified = house.lab.sidecar.total("tokens_verified")
    clients = [house.lab.client() for _ in range(20)]
    with house.lab.sidecar.asleep():
        for client in clients:
            client.send(request("GET", "/", bearer(token)))
    assert [client.read_response().status for client in clients] == [200] * 20
    assert house.lab.sidecar.total("tokens_verified") == verified + 1


def test_who_leaves_while_it_waits(house: House) -> None:
    verifier = the_verifier(house.lab)
    with asleep(verifier):
        token = house.token(jti="leaver")
        leaving, staying = house.lab.client(), house.lab.client()
        house.lab.deliver(leaving, request("GET", "/", bearer(token)))
        house.lab.deliver(staying, request("GET", "/", bearer(token)))
        leaving.close()
        until(lambda: house.lab.sidecar.total("downstream_active") == 1, "one has left")
    assert staying.read_response().status == 200


def test_nobody_gets_past_a_verifier_that_says_nothing(house: House) -> None:
    verifier = the_verifier(house.lab)
    client = house.lab.client()
    known = house.token(jti="known")
    assert ask(client, bearer(known)).status == 200
    with asleep(verifier):
        assert ask(client, bearer(known)).status == 200
        answer = ask(client, bearer(house.token(jti="new")))
        assert answer.status == 503
        assert answer.one(b"retry-after") == b"1"
    assert ask(client, bearer(house.token(jti="after"))).status == 200


def test_a_verifier_that_dies_is_replaced_and_nobody_notices(house: House) -> None:
    verifier = the_verifier(house.lab)
    client = house.lab.client()
    with asleep(verifier):
        house.lab.deliver(client, request("GET", "/", bearer(house.token(jti="held"))))
        os.kill(verifier, signal.SIGKILL)
    assert client.read_response().status == 200
    until(lambda: verifiers(house.lab) not in ([], [verifier]), "there is another")


def test_a_flood_of_new_tokens_keeps_out_no_known_one(house: House) -> None:
    verifier = the_verifier(house.lab)
    client = house.lab.client()
    known = bearer(house.token(jti="before the flood"))
    assert ask(client, known).status == 200
    before = house.lab.sidecar.total("tokens_unavailable")
    with asleep(verifier):
        floods = [H2Peer(house.lab.client()) for _ in range(FLOOD // STREAMS)]
        for number, flood in enumerate(floods):
            for stream in range(STREAMS):
                flood.ask(fields=[("authorization", f"Bearer {number}.{stream}.x")])
        # so many are asked about at a time, and the others are told so at once
        refused = before + FLOOD - QUESTIONS
        until(lambda: house.lab.sidecar.total("tokens_unavailable") >= refused, "the others are refused")
        assert ask(client, known).status == 200
    statuses = [flood.answer(stream).status for flood in floods for stream in list(flood.answers)]
    assert set(statuses) <= {401, 503}
    assert statuses.count(503) >= FLOOD - QUESTIONS
    assert ask(client, bearer(house.token(jti="after the flood"))).status == 200


def test_a_body_waits_with_its_token(tmp_path: Path) -> None:
    with own_house(tmp_path, route={}) as house:
        verifier = the_verifier(house.lab)
        client = house.lab.client()
        with asleep(verifier):
            sent = request("POST", "/", bearer(house.token()), body=b"x" * 100_000)
            writer = threading.Thread(target=client.send, args=(sent,))
            writer.start()
            until(lambda: house.lab.sidecar.total("requests_active") == 1, "the request has begun")
        upstream = house.lab.accept()
        assert upstream.read_request().body == b"x" * 100_000
        upstream.send(response(b"yes"))
        assert client.read_response().status == 200
        writer.join()


def test_keys_that_change_while_nobody_verifies(tmp_path: Path) -> None:
    """A worker that hears of no new token learns of it all the same."""
    with own_house(tmp_path) as house:
        client = house.lab.client()
        token = bearer(house.token())
        assert ask(client, token).status == 200
        verifier = the_verifier(house.lab)
        with asleep(verifier):
            house.publish(Issuer("ES256", "other"))
            assert ask(client, token).status == 200
            os.kill(verifier, signal.SIGKILL)
        until(lambda: ask(client, token).status == 401, "the key is gone")


def test_keys_that_go_take_their_tokens_along(tmp_path: Path) -> None:
    with own_house(tmp_path) as house:
        client = house.lab.client()
        old = house.token()
        assert ask(client, bearer(old)).status == 200
        newer = Issuer("RS256", "newer")
        house.publish(house.issuer, newer)
        until(lambda: ask(client, bearer(newer.token(claims()))).status == 200, "the new key is known")
        assert ask(client, bearer(old)).status == 200
        house.publish(newer)
        until(lambda: ask(client, bearer(old)).status == 401, "the old key is gone")
        # what is no JWKS changes nothing
        house.file.write_text("{")
        until(lambda: "the last keys go on" in house.lab.sidecar.words(), "that is said")
        assert ask(client, bearer(newer.token(claims(jti="x")))).status == 200


def test_what_upstream_is_told(tmp_path: Path) -> None:
    with own_house(tmp_path, route={}, jwt={"required": False}) as house:
        answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
        sent = request("GET", "/", bearer(house.token()), b"x-user: root", b"X-USER: admin")
        seen, got = house.lab.exchange(sent, answer)
        assert got.status == 200
        assert [value for name, value in seen.fields if name.lower() == b"x-user"] == [b"alice"]
        assert seen.one(b"authorization") is None
        # without a token nobody is told to be anybody
        seen, got = house.lab.exchange(
            request("GET", "/", b"x-user: root", b"authorization: Basic x"), answer
        )
        assert seen.one(b"x-user") is None
        assert seen.one(b"authorization") == b"Basic x"


def test_what_claims_make_comes_from_nobody_else(tmp_path: Path) -> None:
    """Neither where a route asks for nothing; and a copy says the same as the original."""
    with closing(Backend()) as shadow:
        routes = [{"name": "free", "matches": [{"path": {"exact": "/free"}}], "backends": [{"cluster": "c"}]}]
        with own_house(
            tmp_path,
            routes=routes,
            route={"jwt": {"providers": ["main"]}, "mirror": [{"cluster": "shadow"}]},
            guarded=False,
            more_clusters={"shadow": {"endpoints": [{"address": shadow.address}]}},
        ) as house:
            answer = response(b"yes", b"connection: close")
            seen, got = house.lab.exchange(request("GET", "/free", b"X-User: root"), answer)
            assert (got.status, seen.all(b"x-user")) == (200, [])
            sent = request("GET", "/", bearer(house.token()), b"x-user: root")
            seen, got = house.lab.exchange(sent, answer)
            assert (got.status, seen.all(b"x-user")) == (200, [b"alice"])
            copy = house.lab.keep(shadow.accept()).read_request()
            assert (copy.all(b"x-user"), copy.all(b"authorization")) == ([b"alice"], [])


def test_claims_in_policies(tmp_path: Path) -> None:
    policies: Section = {
        "staff": {
            "rules": [{"when": [{"claim": "realm.roles", "values": ["staff"]}], "to": [{"paths": ["/in*"]}]}]
        },
        "made": {"rules": [{"when": [{"header": "x-user", "values": ["*"]}]}]},
    }
    with own_house(tmp_path, policies=policies) as house:
        client = house.lab.client()
        staff = bearer(house.token(realm={"roles": ["guest", "staff"]}))
        guest = bearer(house.token(realm={"roles": ["guest"]}))
        assert [ask(client, who, path="/in").status for who in (staff, guest)] == [200, 403]
        assert ask(client, staff, path="/out").status == 403
        assert ask(client, path="/in").status == 401
        # a field that only claims make is not believed of a client
        assert ask(client, guest, b"x-user: root", path="/in").status == 403


def test_cookies_and_queries(tmp_path: Path) -> None:
    places = [{"cookie": "session"}, {"query": "access_token"}, {"header": "x-token"}]
    with own_house(tmp_path, provider={"from": places, "forward": True}) as house:
        client = house.lab.client()
        token = house.token()
        assert ask(client, b"cookie: a=b; session=" + token).status == 200
        assert ask(client, path=f"/?x=y&access_token={token.decode()}").status == 200
        assert ask(client, b"x-token: " + token).status == 200
        assert ask(client, bearer(token)).status == 401
        assert ask(client, b"x-token: " + token, b"cookie: session=" + token).status == 400
        twice = f"/?access_token={token.decode()}&access_token={house.token(sub='root').decode()}"
        assert ask(client, path=twice).status == 400
        # upstream may take any of the cookies of a name, in one field or in several
        cookie, other = b"session=" + token, b"session=" + house.token(sub="root")
        for first, second in ((cookie, other), (other, cookie)):
            assert ask(client, b"cookie: " + first + b"; a=b; " + second).status == 400
            assert ask(client, b"cookie: " + first, b"cookie: a=b; " + second).status == 400
            # and some take a name with spaces behind it
            assert ask(client, b"cookie: " + first + b"; " + second.replace(b"=", b" \t=", 1)).status == 400


def test_routes_that_ask_for_nothing(tmp_path: Path) -> None:
    routes = [
        {
            "name": "alive",
            "matches": [{"path": {"exact": "/alive"}}],
            "response": {"body": "yes"},
            "jwt": {"providers": []},
        },
    ]
    with own_house(tmp_path, routes=routes) as house:
        client = house.lab.client()
        assert [ask(client, path=path).status for path in ("/alive", "/other")] == [200, 401]


def test_reloads_ask_other_things(tmp_path: Path) -> None:
    with own_house(tmp_path) as house:
        client = house.lab.client()
        token = house.token()
        assert ask(client, bearer(token)).status == 200
        config = json.loads(json.dumps(house.lab.config))
        config["jwt"]["main"]["audiences"] = ["bank"]
        house.lab.sidecar.reload(config)
        assert ask(client, bearer(token)).status == 401
        assert ask(client, bearer(house.token(aud="bank"))).status == 200
        del config["jwt"], config["listeners"][0]["jwt"]
        house.lab.sidecar.reload(config)
        assert ask(client).status == 200
        until(lambda: verifiers(house.lab) == [], "no verifier is left")
        house.lab.sidecar.reload(house.lab.config)
        assert ask(client).status == 401
        assert ask(client, bearer(house.token(jti="again"))).status == 200


def test_tokens_are_never_logged(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    with own_house(tmp_path, access_log={"path": str(log), "format": "json"}) as house:
        client = house.lab.client()
        tokens = [house.token(), house.token(aud="bank"), b"nonsense"]
        assert [ask(client, bearer(token)).status for token in tokens] == [200, 401, 401]
        until(lambda: log.exists() and log.read_text().count("\n") == 3, "three lines are logged")
        lines = [json.loads(line) for line in log.read_text().splitlines()]
        assert [(line["response_flags"], line["response_code_details"]) for line in lines] == [
            ("-", "direct_response"),
            ("UAEX", "jwt_authn_access_denied{audience_not_allowed}"),
            ("UAEX", "jwt_authn_access_denied{malformed}"),
        ]
        written = log.read_text() + house.lab.sidecar.words()
        for token in tokens:
            assert token.decode() not in written


# -- keys at a URL ---------------------------------------------------------------------------------------


class KeyServer:
    """An endpoint with a JWKS, which may fail."""

    def __init__(self, text: bytes) -> None:
        self.text = text
        self.status = 200
        self.asked = 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked += 1
                self.send_response(outer.status)
                self.send_header("location", "/elsewhere")
                self.end_headers()
                self.wfile.write(outer.text)

            def log_message(self, *arguments: object) -> None:
                pass

        self.server = QuietServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}/keys"

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


def test_keys_at_a_url(tmp_path: Path) -> None:
    first = Issuer("EdDSA", "first")
    with (
        closing(KeyServer(first.jwks())) as server,
        own_house(tmp_path, keys={"url": server.url, "refresh": "1s"}) as house,
    ):
        client = house.lab.client()
        token = first.token(claims())
        assert ask(client, bearer(token)).status == 200
        # the endpoint fails, or leads elsewhere: the last keys go on, for another verifier too
        for status in (500, 302):
            asked, server.status = server.asked, status
            until(lambda asked=asked: server.asked >= asked + 2, "it was asked again")  # type: ignore[misc]
            assert ask(client, bearer(first.token(claims(jti=str(status))))).status == 200
        verifier = the_verifier(house.lab)
        os.kill(verifier, signal.SIGKILL)
        assert ask(client, bearer(first.token(claims(jti="after")))).status == 200
        # a key that is new is taken as soon as it is there
        second = Issuer("EdDSA", "second")
        server.text, server.status = second.jwks(), 200
        until(lambda: ask(client, bearer(second.token(claims()))).status == 200, "the new key is known")
        assert ask(client, bearer(token)).status == 401


def test_while_there_are_no_keys_nobody_gets_in(tmp_path: Path) -> None:
    issuer = Issuer("ES256")
    with closing(KeyServer(issuer.jwks())) as server:
        server.status = 503
        with own_house(tmp_path, keys={"url": server.url, "refresh": "1s"}) as house:
            client = house.lab.client()
            assert ask(client, bearer(issuer.token(claims()))).status == 503
            house.lab.deliver(client, request("GET", "/", bearer(issuer.token(claims(jti="waits")))))
            server.status = 200
            assert client.read_response().status == 200
