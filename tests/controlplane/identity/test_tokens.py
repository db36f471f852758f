"""A join token counts once, for one identity, for a while, and only if this authority has made it."""

import base64
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from tests.controlplane.identity.making import DAY, NOW
from tulle.controlplane.identity import keys
from tulle.controlplane.identity.enrolment import enrol, renew
from tulle.controlplane.identity.errors import IdentityError
from tulle.controlplane.identity.inspect import facts_of
from tulle.controlplane.identity.request import Identity
from tulle.controlplane.identity.spiffe import parse
from tulle.controlplane.identity.store import Store, create_store
from tulle.controlplane.identity.tokens import (
    TokenError,
    Used,
    UsedInMemory,
    UsedOnDisk,
    check_token,
    make_secret,
    make_token,
    read_claims,
    use_token,
)

WEB = "spiffe://shop.example/ns/default/sa/web"
ADMIN = "spiffe://shop.example/ns/default/sa/admin"
SECRET = make_secret()


@pytest.fixture(params=["memory", "disk"])
def used(request: pytest.FixtureRequest, tmp_path: Path) -> Used:
    return UsedInMemory() if request.param == "memory" else UsedOnDisk(tmp_path / "used")


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return create_store(tmp_path_factory.mktemp("store") / "ca", "shop.example", NOW)


def request(*uris: str) -> bytes:
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    if uris:
        names = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri) for uri in uris])
        builder = builder.add_extension(names, critical=False)
    return builder.sign(keys.generate(), hashes.SHA256()).public_bytes(Encoding.PEM)


def refused(secret: bytes, token: str, now: float = NOW) -> str:
    with pytest.raises(TokenError) as error:
        check_token(secret, token, now)
    assert len(token) < 20 or token not in str(error.value)
    return error.value.code


def test_a_token_says_what_it_was_made_for() -> None:
    token = make_token(SECRET, WEB, NOW, 60, ("web.shop.example",), ("AB:CD",))
    claims = check_token(SECRET, f" {token}\n", NOW)
    assert (claims.identity, claims.dns_names, claims.roots) == (WEB, ("web.shop.example",), ("AB:CD",))
    assert (claims.not_before, claims.expires) == (NOW, NOW + 60)
    assert read_claims(token) == claims
    assert SECRET.hex() not in token


def test_two_tokens_are_never_the_same() -> None:
    assert len({make_token(SECRET, WEB, NOW) for _ in range(20)}) == 20


def test_time_counts() -> None:
    token = make_token(SECRET, WEB, NOW, 60)
    assert check_token(SECRET, token, NOW + 59.9)
    assert check_token(SECRET, token, NOW - 59)  # clocks differ
    assert refused(SECRET, token, NOW + 60) == "expired"
    assert refused(SECRET, token, NOW - 61) == "not-yet-valid"


def test_another_secret_makes_no_token() -> None:
    assert refused(make_secret(), make_token(SECRET, WEB, NOW)) == "forged"


def test_a_changed_claim_is_found() -> None:
    prefix, claims, mac = make_token(SECRET, WEB, NOW).split(".")
    said = base64.urlsafe_b64decode(claims + "==")
    other = base64.urlsafe_b64encode(said.replace(b"sa/web", b"sa/adm")).rstrip(b"=").decode()
    assert refused(SECRET, f"{prefix}.{other}.{mac}") == "forged"


def test_every_changed_character_is_found() -> None:
    token = make_token(SECRET, WEB, NOW)
    for position in range(len(token)):
        changed = token[:position] + ("A" if token[position] != "A" else "B") + token[position + 1 :]
        assert refused(SECRET, changed) in ("forged", "malformed")


@pytest.mark.parametrize(
    "token",
    ["", "hello", "tulle-join", "tulle-join..", "tulle-join.e30.", "a.b.c", "tulle-join.é.é", "x" * 9000],
)
def test_what_is_no_token_is_told(token: str) -> None:
    assert refused(SECRET, token) == "malformed"


def test_claims_of_another_form_are_refused() -> None:
    """Also when they were signed: by another version, say."""
    import hmac

    def encoded(data: bytes) -> str:
        return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

    text = f"tulle-join.{encoded(msgspec.json.encode({'id': 'x', 'all': True}))}"
    assert refused(SECRET, f"{text}.{encoded(hmac.digest(SECRET, text.encode(), 'sha256'))}") == "malformed"


@pytest.mark.parametrize(
    ("identity", "life"),
    [("web", 60.0), ("spiffe://shop.example", 60.0), (WEB, 0.0), (WEB, -1.0), (WEB, 8 * DAY)],
)
def test_what_may_not_be_made_is_told(identity: str, life: float) -> None:
    with pytest.raises(IdentityError):
        make_token(SECRET, identity, NOW, life)


def test_no_secret_is_no_secret() -> None:
    with pytest.raises(ValueError, match="too short"):
        make_token(b"", WEB, NOW)


def test_it_counts_once(used: Used) -> None:
    first, second = (check_token(SECRET, make_token(SECRET, WEB, NOW), NOW) for _ in range(2))
    use_token(first, used, NOW)
    for now in (NOW, NOW + 3599):
        with pytest.raises(TokenError, match="used already") as error:
            use_token(first, used, now)
        assert error.value.code == "used"
    use_token(second, used, NOW)


def test_of_many_at_once_one_is_first(used: Used) -> None:
    with ThreadPoolExecutor(16) as pool:
        first = list(pool.map(lambda _: used.use("ab" * 16, NOW + 60, NOW), range(64)))
    assert first.count(True) == 1


def test_what_was_used_is_forgotten_when_it_has_expired(tmp_path: Path) -> None:
    memory, on_disk = UsedInMemory(), UsedOnDisk(tmp_path / "used")
    for number in range(20):
        now = NOW + number * 2 * DAY
        for used in (memory, on_disk):
            assert used.use(f"{number:032x}", now + 60, now)
    assert len(memory.expiry) == 1
    assert len(list((tmp_path / "used").iterdir())) <= 2
    assert stat.S_IMODE((tmp_path / "used").stat().st_mode) == 0o700


def test_other_processes_know_it_too(tmp_path: Path) -> None:
    assert UsedOnDisk(tmp_path / "used").use("ab", NOW + 60, NOW)
    assert not UsedOnDisk(tmp_path / "used").use("ab", NOW + 60, NOW)


def test_when_it_cannot_be_known_it_is_not_granted(tmp_path: Path) -> None:
    (tmp_path / "used").write_text("a file")
    with pytest.raises(IdentityError, match="cannot be written"):
        UsedOnDisk(tmp_path / "used").use("ab", NOW + 60, NOW)
    with pytest.raises(IdentityError, match="hexadecimal"):
        UsedOnDisk(tmp_path / "other").use("../../etc/x", NOW + 60, NOW)


# -- enrolment ------------------------------------------------------------------------------------------


def test_a_service_enrols_once(ca: Store, used: Used) -> None:
    token = make_token(ca.secret(), WEB, NOW, dns_names=("web.shop.example",))
    leaf = facts_of(enrol(ca, used, token, request(WEB), NOW).chain[0])
    assert leaf.names == (f"URI:{WEB}", "DNS:web.shop.example")
    with pytest.raises(TokenError, match="used already"):
        enrol(ca, used, token, request(WEB), NOW)


def test_who_asks_for_another_identity_gets_none_and_keeps_the_token(ca: Store, used: Used) -> None:
    token = make_token(ca.secret(), WEB, NOW)
    for bad in (request(ADMIN), request(WEB, ADMIN), b"", request(WEB)[:100]):
        with pytest.raises(IdentityError, match="the request is refused"):
            enrol(ca, used, token, bad, NOW)
    assert enrol(ca, used, token, request(), NOW)


def test_a_token_of_another_trust_domain_is_worth_nothing(ca: Store, used: Used) -> None:
    token = make_token(ca.secret(), "spiffe://other.example/web", NOW)
    with pytest.raises(IdentityError, match="not of this CA's trust domain"):
        enrol(ca, used, token, request(), NOW)


def test_who_has_a_certificate_gets_the_next_for_the_same_identity(ca: Store) -> None:
    current = Identity(parse(WEB))
    assert facts_of(renew(ca, current, request(WEB), NOW).chain[0]).names == (f"URI:{WEB}",)
    with pytest.raises(IdentityError, match="it asks to be"):
        renew(ca, current, request(ADMIN), NOW)
