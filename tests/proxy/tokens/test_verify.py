"""Tokens that hold and tokens that do not, by keys of every kind."""

import base64
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.proxy.tokens.issuer import Issuer, encode, jwk_of, make_key
from tulle.controlplane.table import TokenProviderRow
from tulle.proxy.tokens.keys import KeySet, read_keys, strict_json
from tulle.proxy.tokens.verify import LARGEST_TOKEN, Question, Reason, Verdict, texts_at, verify

NOW = 1_700_000_000
SECOND = 1_000_000_000
CLAIMS = {"iss": "https://id.example", "aud": "shop", "exp": NOW + 600, "sub": "alice"}
KINDS = ("RS256", "ES256", "EdDSA")


def provider(**more: Any) -> TokenProviderRow:
    row: dict[str, Any] = {
        "name": "p",
        "issuer": "https://id.example",
        "audiences": ("shop",),
        "leeway": 30 * SECOND,
        "keys_file": "k",
        "keys_url": "",
        "refresh": SECOND,
        "fields": (),
    }
    return TokenProviderRow(**row | more)


class Bench:
    """One issuer with a key of one kind, and a provider that believes it."""

    def __init__(self, algorithm: str = "ES256", **more: Any) -> None:
        self.issuer = Issuer(algorithm)
        self.keys = read_keys(self.issuer.jwks())
        self.question = Question((provider(**more),), (("sub",), ("realm", "roles"), ("n",)))

    def ask(self, token: bytes, now: float = NOW) -> Verdict:
        return verify(token, self.question, lambda row: self.keys, now)

    def reason(self, token: bytes, now: float = NOW) -> Reason:
        return self.ask(token, now).reason


@pytest.fixture(scope="module", params=KINDS)
def bench(request: pytest.FixtureRequest) -> Bench:
    return Bench(request.param)


def test_a_token_that_holds(bench: Bench) -> None:
    verdict = bench.ask(bench.issuer.token(CLAIMS))
    assert verdict.reason == Reason.NONE
    assert verdict.expires == (NOW + 630) * SECOND


def test_any_byte_that_is_changed_is_found(bench: Bench) -> None:
    token = bench.issuer.token(CLAIMS)
    for index in range(0, len(token), 7):
        other = b"A" if token[index : index + 1] != b"A" else b"B"
        assert bench.reason(token[:index] + other + token[index + 1 :]) != Reason.NONE, index


def test_another_payload_under_the_same_signature(bench: Bench) -> None:
    head, _, signature = bench.issuer.token(CLAIMS).split(b".")
    token = b".".join([head, encode({**CLAIMS, "sub": "root"}), signature])
    assert bench.reason(token) == Reason.SIGNATURE


def test_a_token_that_was_cut_off(bench: Bench) -> None:
    token = bench.issuer.token(CLAIMS)
    for length in range(len(token)):
        assert bench.reason(token[:length]) != Reason.NONE


def test_another_issuers_key_of_the_same_kind(bench: Bench) -> None:
    assert bench.reason(Issuer(bench.issuer.algorithm).token(CLAIMS)) == Reason.SIGNATURE


def test_a_key_that_nobody_knows(bench: Bench) -> None:
    assert bench.reason(Issuer(bench.issuer.algorithm, "other").token(CLAIMS)) == Reason.KEY


def test_times(bench: Bench) -> None:
    token = bench.issuer.token({**CLAIMS, "nbf": NOW + 100})
    assert bench.reason(token, NOW + 69) == Reason.NOT_YET_VALID
    assert bench.reason(token, NOW + 70) == Reason.NONE
    assert bench.reason(token, NOW + 629) == Reason.NONE
    assert bench.reason(token, NOW + 630) == Reason.EXPIRED


# -- algorithms ------------------------------------------------------------------------------------------


def test_no_signature_at_all() -> None:
    bench = Bench()
    for name in ("none", "None", "NONE", "nOnE"):
        for signature in (b"", b"AA", bench.issuer.token(CLAIMS).split(b".")[2]):
            token = b".".join([encode({"alg": name}), encode(CLAIMS), signature])
            assert bench.reason(token) == Reason.ALGORITHM
    head, claims, _ = bench.issuer.token(CLAIMS).split(b".")
    assert bench.reason(head + b"." + claims + b".") == Reason.SIGNATURE


def test_the_public_key_is_no_secret_of_an_hmac() -> None:
    bench = Bench("RS256")
    public = bench.issuer.key.public_key()
    for secret in (
        public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        bench.issuer.jwks(),
    ):
        for name in ("HS256", "RS256"):
            signed = encode({"alg": name, "kid": bench.issuer.key_id}) + b"." + encode(CLAIMS)
            code = hmac.HMAC(secret, hashes.SHA256())
            code.update(signed)
            token = signed + b"." + base64.urlsafe_b64encode(code.finalize()).rstrip(b"=")
            assert bench.reason(token) in (Reason.ALGORITHM, Reason.SIGNATURE)


@pytest.mark.parametrize(
    "claimed", ["RS256", "ES256", "EdDSA", "RS512", "PS256", "ES384", "ES256K", "", None, 1, ["RS256"]]
)
def test_the_key_says_which_algorithm_it_is_for(bench: Bench, claimed: object) -> None:
    token = bench.issuer.token(CLAIMS, head={"alg": claimed})
    if claimed == bench.issuer.algorithm:
        assert bench.reason(token) == Reason.NONE
    else:
        assert bench.reason(token) == (Reason.KEY if claimed in KINDS else Reason.ALGORITHM)


def test_extensions_that_must_be_understood() -> None:
    bench = Bench()
    for more in ({"crit": ["exp"]}, {"crit": []}, {"b64": False}, {"kid": 7}, {"kid": None}):
        assert bench.reason(bench.issuer.token(CLAIMS, head=more)) == Reason.MALFORMED


def test_a_signature_of_p256_has_one_form() -> None:
    bench = Bench("ES256")
    head, claims, _ = bench.issuer.token(CLAIMS).split(b".")
    der = bench.issuer.key.sign(head + b"." + claims, ec.ECDSA(hashes.SHA256()))
    for signature in (der, bytes(64), b"\xff" * 64, bytes(63), bytes(65)):
        encoded = base64.urlsafe_b64encode(signature).rstrip(b"=")
        assert bench.reason(b".".join([head, claims, encoded])) == Reason.SIGNATURE


# -- claims ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"iss": "https://evil.example"}, Reason.ISSUER),
        ({"iss": "https://id.example/"}, Reason.ISSUER),
        ({"iss": None}, Reason.ISSUER),
        ({"iss": ["https://id.example"]}, Reason.ISSUER),
        ({"aud": "bank"}, Reason.AUDIENCE),
        ({"aud": ["bank", "other"]}, Reason.AUDIENCE),
        ({"aud": ["bank", "shop"]}, Reason.NONE),
        ({"aud": None}, Reason.AUDIENCE),
        ({"aud": {"shop": 1}}, Reason.AUDIENCE),
        ({"aud": "shopping"}, Reason.AUDIENCE),
        ({"exp": None}, Reason.MALFORMED),
        ({"exp": str(NOW + 600)}, Reason.MALFORMED),
        ({"exp": True}, Reason.MALFORMED),
        ({"exp": NOW + 0.5}, Reason.NONE),
        ({"exp": 1e300}, Reason.NONE),
        ({"exp": 10**400}, Reason.MALFORMED),
        ({"exp": -1}, Reason.EXPIRED),
        ({"exp": 0}, Reason.EXPIRED),
        ({"nbf": "soon"}, Reason.MALFORMED),
        ({"nbf": NOW}, Reason.NONE),
    ],
)
def test_what_a_token_says(changes: dict[str, Any], reason: Reason) -> None:
    bench = Bench()
    verdict = bench.ask(bench.issuer.token({**CLAIMS, **changes}))
    assert verdict.reason == reason
    assert 0 <= verdict.expires < 1 << 63


def test_a_token_without_an_end_is_none() -> None:
    bench = Bench()
    claims = {name: value for name, value in CLAIMS.items() if name != "exp"}
    assert bench.reason(bench.issuer.token(claims)) == Reason.MALFORMED


def test_without_audiences_any_will_do() -> None:
    bench = Bench(audiences=())
    assert bench.reason(bench.issuer.token({**CLAIMS, "aud": "bank"})) == Reason.NONE


def test_a_claim_that_is_there_twice() -> None:
    bench = Bench()
    text = json.dumps(CLAIMS)[:-1] + ', "sub": "root"}'
    assert bench.reason(bench.issuer.sign(text.encode())) == Reason.MALFORMED
    nested = json.dumps(CLAIMS)[:-1] + ', "realm": {"roles": [], "roles": ["root"]}}'
    assert bench.reason(bench.issuer.sign(nested.encode())) == Reason.MALFORMED


@pytest.mark.parametrize(
    "text",
    [
        b"[]",
        b"null",
        b'"x"',
        b"{",
        b'{"exp": NaN}',
        b"\xff",
        b"[" * 9000,
        b'{"a":' * 1500 + b"1" + b"}" * 1500,
        b"",
    ],
)
def test_a_payload_that_is_no_object(text: bytes) -> None:
    bench = Bench()
    assert bench.reason(bench.issuer.sign(text)) in (Reason.MALFORMED, Reason.ISSUER)


def test_encodings_that_are_not_the_one() -> None:
    bench = Bench()
    token = bench.issuer.token(CLAIMS)
    head, claims, signature = token.split(b".")
    for other in (
        token + b"=",
        token + b".",
        b"." + token,
        head + b"=." + claims + b"." + signature,
        token.replace(b".", b".."),
        b" " + token,
        token + b"\n",
        head + b"." + claims,
        b"",
        b"..",
        b"a.b.c",
        token.replace(b"-", b"+").replace(b"_", b"/") + b"+",
    ):
        assert bench.reason(other) == Reason.MALFORMED, other
    # bits that fill up the last character mean nothing, and so must be 0
    last = signature[-1:]
    alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    neighbour = alphabet[alphabet.index(last) ^ 1 : (alphabet.index(last) ^ 1) + 1]
    assert bench.reason(token[:-1] + neighbour) in (Reason.MALFORMED, Reason.SIGNATURE)


def test_a_giant_token() -> None:
    bench = Bench()
    assert bench.reason(bench.issuer.token({**CLAIMS, "x": "a" * LARGEST_TOKEN})) == Reason.MALFORMED


def test_several_providers() -> None:
    bench = Bench()
    rows = (
        provider(audiences=("bank",)),
        provider(name="q"),
        provider(name="r", issuer="https://other.example"),
    )
    bench.question = bench.question._replace(providers=rows)
    assert bench.reason(bench.issuer.token(CLAIMS)) == Reason.NONE
    assert bench.reason(bench.issuer.token({**CLAIMS, "iss": "https://other.example"})) == Reason.NONE
    assert bench.reason(bench.issuer.token({**CLAIMS, "aud": "x"})) == Reason.AUDIENCE


def test_while_there_are_no_keys() -> None:
    bench = Bench()
    token = bench.issuer.token(CLAIMS)
    assert verify(token, bench.question, lambda row: None, NOW).reason == Reason.LATER
    # of another issuer it is known at once
    other = bench.issuer.token({**CLAIMS, "iss": "x"})
    assert verify(other, bench.question, lambda row: None, NOW).reason == Reason.ISSUER


# -- what it yields --------------------------------------------------------------------------------------


def test_records() -> None:
    bench = Bench(fields=((0, ("sub",)), (1, ("realm", "roles")), (2, ("bad",)), (3, ("absent",))))
    claims = {**CLAIMS, "realm": {"roles": ["a", "b", 3, {"c": 1}]}, "n": 7, "bad": "x\r\ny: z"}
    verdict = bench.ask(bench.issuer.token(claims))
    found = []
    position = 0
    while position < len(verdict.records):
        kind, index, length = __import__("struct").unpack_from("=HHI", verdict.records, position)
        found.append((kind, index, verdict.records[position + 8 : position + 8 + length]))
        position += 8 + length
    assert found == [
        (0, 0, b"alice"),
        (0, 1, b"a"),
        (0, 1, b"b"),
        (0, 2, b"7"),
        (1, 0, b"alice"),
        (1, 1, b"a,b"),
    ]


def test_claims_as_texts() -> None:
    claims = {"a": {"b": "x"}, "t": True, "f": 1.5, "n": None, "l": ["x", "\ud800"], "s": "\udfff"}
    assert [texts_at(claims, path) for path in (["a", "b"], ["t"], ["f"], ["l"])] == [
        ["x"],
        ["true"],
        ["1.5"],
        ["x"],
    ]
    for path in (["a"], ["n"], ["s"], ["a", "b", "c"], ["x"], ["t", "u"]):
        assert texts_at(claims, path) == []


# -- keys ------------------------------------------------------------------------------------------------


def keys_of(*jwks: dict[str, Any]) -> KeySet:
    return read_keys(json.dumps({"keys": list(jwks)}).encode())


def test_keys_that_are_not_for_this_are_passed_over() -> None:
    good = jwk_of(make_key("ES256"), "good")
    for changes in (
        {"use": "enc"},
        {"key_ops": ["sign"]},
        {"key_ops": []},
        {"alg": "RS256"},
        {"crv": "P-384"},
        {"kty": "oct"},
        {"kid": 7},
        {"x": "!"},
        {"x": None},
        {"x": good["y"]},
        {"kty": "OKP"},
    ):
        found = keys_of({**good, **changes}, good)
        assert [key.identity for key in found.keys] == ["good"]
        assert len(found.passed_over) == 1
        with pytest.raises(ValueError, match="no key that could be used"):
            keys_of({**good, **changes})


def test_small_rsa_keys_are_not_used() -> None:
    with pytest.raises(ValueError, match="1024 bits"):
        keys_of(jwk_of(rsa.generate_private_key(65537, 1024), "small"))


@pytest.mark.parametrize(
    "text", [b"", b"{}", b"[]", b'{"keys": {}}', b'{"keys": []}', b'{"keys": [], "keys": []}']
)
def test_what_is_no_jwks(text: bytes) -> None:
    with pytest.raises(ValueError):
        read_keys(text)


def test_strict_json() -> None:
    assert strict_json(b'{"a": [1, {"b": null}]}') == {"a": [1, {"b": None}]}
    for text in (b'{"a": 1, "a": 1}', b"Infinity", b"-Infinity", b"{'a': 1}", b"\xef\xbb\xbf{}"):
        with pytest.raises(ValueError):
            strict_json(text)


def test_a_key_without_a_name_is_for_every_token() -> None:
    bench = Bench()
    jwks = json.loads(bench.issuer.jwks())
    del jwks["keys"][0]["kid"]
    bench.keys = read_keys(json.dumps(jwks).encode())
    assert bench.reason(bench.issuer.token(CLAIMS)) == Reason.NONE


def test_old_and_new_keys_together() -> None:
    old, new = Issuer("ES256", "old"), Issuer("RS256", "new")
    bench = Bench()
    both = {"keys": json.loads(old.jwks())["keys"] + json.loads(new.jwks())["keys"]}
    bench.keys = read_keys(json.dumps(both).encode())
    assert [bench.reason(issuer.token(CLAIMS)) for issuer in (old, new)] == [Reason.NONE, Reason.NONE]
    bench.keys = read_keys(new.jwks())
    assert [bench.reason(issuer.token(CLAIMS)) for issuer in (old, new)] == [Reason.KEY, Reason.NONE]
