"""Certificates of the authority, as OpenSSL sees them; and who gets none."""

import datetime
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from tests.controlplane.identity.making import DAY, NOW, write
from tulle.controlplane.identity import authority, keys
from tulle.controlplane.identity.authority import Issued, Signer
from tulle.controlplane.identity.errors import IdentityError
from tulle.controlplane.identity.facts import CertificateFacts
from tulle.controlplane.identity.files import read_bundle, read_pair
from tulle.controlplane.identity.inspect import facts_of
from tulle.controlplane.identity.request import Identity, Request, read_request
from tulle.controlplane.identity.spiffe import SpiffeId, parse

DOMAIN = "shop.example"
WEB = parse("spiffe://shop.example/ns/default/sa/web")
Openssl = Callable[..., subprocess.CompletedProcess[str]]


class Authority:
    def __init__(self, kind: str = "ec-p256") -> None:
        self.root = authority.make_root(DOMAIN, keys.generate(kind), NOW)
        self.intermediate = authority.make_intermediate(DOMAIN, self.root, keys.generate(kind), NOW)

    def issue(self, request: Request | None = None, allowed: Identity | None = None, **more: float) -> Issued:
        request = request or Request(keys.generate().public_key())
        allowed = allowed or Identity(WEB, ("web.shop.example",))
        now, life = more.get("now", NOW), more.get("life", DAY)
        return authority.issue(self.intermediate, DOMAIN, request, allowed, now, life)


@pytest.fixture(scope="module")
def ca() -> Authority:
    return Authority()


@pytest.fixture
def openssl(program: Callable[[str], str], tmp_path: Path) -> Openssl:
    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = [program("openssl"), *words]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    return run


def verify(openssl: Openssl, folder: Path, issued: Issued, root: Signer, *more: str, at: float = NOW) -> str:
    """What `openssl verify` says: `leaf.pem: OK`, or its errors."""
    write(folder / "leaf.pem", authority.to_pem(issued.chain[:1]))
    write(folder / "middle.pem", authority.to_pem(issued.chain[1:]))
    write(folder / "root.pem", authority.to_pem([root.certificate]))
    strict = ("-x509_strict", "-attime", str(int(at)), "-CAfile", "root.pem", "-untrusted", "middle.pem")
    done = openssl("verify", *strict, *more, "leaf.pem")
    return done.stdout + done.stderr


def csr(names: list[x509.GeneralName], private: ec.EllipticCurvePrivateKey | None = None) -> bytes:
    private = private or ec.generate_private_key(ec.SECP256R1())
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(private, hashes.SHA256()).public_bytes(Encoding.PEM)


# -- what is issued -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [*keys.KINDS])
def test_openssl_verifies_for_both_sides(openssl: Openssl, tmp_path: Path, kind: str) -> None:
    ca = Authority(kind)
    issued = ca.issue(Request(keys.generate(kind).public_key()))
    for purpose in ("sslserver", "sslclient"):
        assert verify(openssl, tmp_path, issued, ca.root, "-purpose", purpose) == "leaf.pem: OK\n"
    shown = verify(openssl, tmp_path, issued, ca.root, "-verify_hostname", "web.shop.example")
    assert shown == "leaf.pem: OK\n"
    assert "hostname mismatch" in verify(openssl, tmp_path, issued, ca.root, "-verify_hostname", "a.example")


def test_another_root_does_not_do(openssl: Openssl, tmp_path: Path, ca: Authority) -> None:
    assert "unable to get local issuer" in verify(openssl, tmp_path, ca.issue(), Authority().root)


@pytest.mark.parametrize(
    ("at", "said"),
    [
        (NOW - 301, "not yet valid"),
        (NOW - 299, "OK"),
        (NOW + DAY - 1, "OK"),
        (NOW + DAY + 1, "has expired"),
    ],
)
def test_it_lives_for_a_day_and_begins_a_little_before(
    openssl: Openssl, tmp_path: Path, ca: Authority, at: float, said: str
) -> None:
    assert said in verify(openssl, tmp_path, ca.issue(), ca.root, at=at)


def test_a_leaf_is_an_svid(openssl: Openssl, tmp_path: Path, ca: Authority) -> None:
    """X509-SVID 4 and appendix A."""
    write(tmp_path / "leaf.pem", ca.issue().pem)
    shown = openssl("x509", "-in", "leaf.pem", "-noout", "-text").stdout
    said = [line.strip() for line in shown.splitlines()]

    def below(title: str) -> str:
        return said[said.index(title) + 1]

    names = "URI:spiffe://shop.example/ns/default/sa/web, DNS:web.shop.example"
    assert below("X509v3 Subject Alternative Name: critical") == names
    assert below("X509v3 Basic Constraints: critical") == "CA:FALSE"
    assert below("X509v3 Key Usage: critical") == "Digital Signature"
    both = "TLS Web Server Authentication, TLS Web Client Authentication"
    assert below("X509v3 Extended Key Usage:") == both
    assert "Subject:" in said  # empty: the name is the URI
    assert "Public-Key: (256 bit)" in shown


def test_a_leaf_cannot_sign(openssl: Openssl, tmp_path: Path, ca: Authority) -> None:
    private = keys.generate()
    leaf = ca.issue(Request(private.public_key()))
    forged = authority.issue(
        Signer(leaf.chain[0], private), DOMAIN, Request(keys.generate().public_key()), Identity(WEB), NOW
    )
    chain = Issued((*forged.chain, ca.intermediate.certificate))
    assert "leaf.pem: OK" not in verify(openssl, tmp_path, chain, ca.root)


def test_an_intermediate_signs_leaves_only(openssl: Openssl, tmp_path: Path, ca: Authority) -> None:
    below = authority.make_intermediate(DOMAIN, ca.intermediate, keys.generate(), NOW)
    issued = authority.issue(below, DOMAIN, Request(keys.generate().public_key()), Identity(WEB), NOW)
    chain = Issued((*issued.chain, ca.intermediate.certificate))
    assert "path length constraint exceeded" in verify(openssl, tmp_path, chain, ca.root)


def test_serials_are_random(ca: Authority) -> None:
    serials = {ca.issue().chain[0].serial_number for _ in range(50)}
    assert len(serials) == 50
    assert max(serials).bit_length() > 64  # CA/Browser Forum: at least 64 bits of chance
    assert max(serials).bit_length() < 160  # RFC 5280 4.1.2.2


def test_our_own_check_finds_nothing(tmp_path: Path, ca: Authority) -> None:
    private = keys.generate()
    write(tmp_path / "web.pem", ca.issue(Request(private.public_key())).pem)
    write(tmp_path / "web.key", keys.to_pem(private))
    write(tmp_path / "ca.pem", authority.to_pem([ca.root.certificate]))
    for purpose in ("server", "client"):
        found = read_pair(str(tmp_path / "web.pem"), str(tmp_path / "web.key"), NOW, purpose)  # type: ignore[arg-type]
        assert found.problems == ()
    assert read_bundle(str(tmp_path / "ca.pem"), NOW).problems == ()


@pytest.mark.parametrize("life", [1.0, 60.0, 3600.0])
def test_a_short_life_is_not_over_half_before_it_begins(ca: Authority, life: float) -> None:
    facts: CertificateFacts = facts_of(ca.issue(life=life).chain[0])
    assert facts.not_after == NOW + life
    assert 0 <= NOW - facts.not_before <= max(1, life / 10)


def test_nothing_outlives_its_issuer(ca: Authority) -> None:
    end = ca.intermediate.certificate.not_valid_after_utc.timestamp()
    assert ca.issue(now=end - 10).not_after == end
    with pytest.raises(IdentityError, match="has expired"):
        ca.issue(now=end)
    root = authority.make_root(DOMAIN, keys.generate(), NOW, life=DAY)
    below = authority.make_intermediate(DOMAIN, root, keys.generate(), NOW)
    assert below.certificate.not_valid_after_utc == root.certificate.not_valid_after_utc


def test_no_key_is_shown(ca: Authority) -> None:
    assert repr(ca.root).startswith("Signer(CN=shop.example root ")


def test_two_roots_of_a_trust_domain_have_two_names() -> None:
    assert Authority().root.certificate.subject != Authority().root.certificate.subject


def test_a_long_trust_domain_has_a_ca(openssl: Openssl, tmp_path: Path) -> None:
    domain = "a" * 255
    root = authority.make_root(domain, keys.generate(), NOW)
    below = authority.make_intermediate(domain, root, keys.generate(), NOW)
    identity = Identity(SpiffeId(domain, "/web"))
    issued = authority.issue(below, domain, Request(keys.generate().public_key()), identity, NOW)
    assert verify(openssl, tmp_path, issued, root) == "leaf.pem: OK\n"


# -- who asks -------------------------------------------------------------------------------------------


def test_a_request_of_openssl_is_read(openssl: Openssl, tmp_path: Path, ca: Authority) -> None:
    make = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "web.key")
    asked = f"subjectAltName=URI:{WEB},DNS:web.shop.example"
    openssl("req", "-new", *make, "-subj", "/CN=admin", "-addext", asked, "-out", "web.csr")
    request = read_request((tmp_path / "web.csr").read_bytes())
    assert (request.uris, request.dns_names) == ((str(WEB),), ("web.shop.example",))
    write(tmp_path / "web.pem", ca.issue(request).pem)
    found = read_pair(str(tmp_path / "web.pem"), str(tmp_path / "web.key"), NOW)
    assert found.problems == ()
    assert found.chain[0].subject == ""


@pytest.mark.parametrize(
    "asked",
    [
        x509.UniformResourceIdentifier("spiffe://shop.example/ns/default/sa/admin"),
        x509.UniformResourceIdentifier("spiffe://other.example/ns/default/sa/web"),
        x509.UniformResourceIdentifier("https://web.shop.example"),
        x509.DNSName("bank.example"),
        x509.DNSName("*.shop.example"),
        x509.RFC822Name("root@shop.example"),
    ],
)
def test_who_asks_for_another_identity_gets_none(ca: Authority, asked: x509.GeneralName) -> None:
    own = x509.UniformResourceIdentifier(str(WEB))
    for names in ([asked], [own, asked]):
        with pytest.raises(IdentityError, match="it asks to be") as error:
            ca.issue(read_request(csr(names)))
        assert str(asked.value) in str(error.value)


def test_who_asks_for_nothing_gets_what_is_allowed(ca: Authority) -> None:
    (leaf, _) = ca.issue(read_request(csr([]))).chain
    assert facts_of(leaf).names == (f"URI:{WEB}", "DNS:web.shop.example")


def test_who_has_not_the_key_gets_nothing() -> None:
    """Somebody else's request, with another name in it."""
    theirs = x509.load_pem_x509_csr(csr([x509.DNSName("alice.example")]))
    der = theirs.public_bytes(Encoding.DER).replace(b"alice", b"mally")
    pem = x509.load_der_x509_csr(der).public_bytes(Encoding.PEM)
    with pytest.raises(IdentityError, match="signature is not right"):
        read_request(pem)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", "damaged"),
        (b"hello", "damaged"),
        (b"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n", "damaged"),
        (b"x" * 70_000, "longer than"),
    ],
)
def test_what_is_no_request_is_refused(text: bytes, said: str) -> None:
    with pytest.raises(IdentityError, match=said):
        read_request(text)


def test_a_weak_key_gets_no_certificate() -> None:
    weak = rsa.generate_private_key(65537, 1024)
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    with pytest.raises(IdentityError, match="weak"):
        read_request(builder.sign(weak, hashes.SHA256()).public_bytes(Encoding.PEM))


@pytest.mark.parametrize(
    ("allowed", "said"),
    [
        (Identity(parse("spiffe://other.example/web")), "not of this CA's trust domain"),
        (Identity(parse("spiffe://shop.example")), "no workload"),
        (Identity(WEB, ("web shop",)), "no DNS name"),
        (Identity(WEB, ("a.*.example",)), "no DNS name"),
        (Identity(WEB, ("-a.example",)), "no DNS name"),
        (Identity(WEB, ("a..example",)), "no DNS name"),
        (Identity(WEB, ("wéb.example",)), "no DNS name"),
        (Identity(WEB, ("",)), "no DNS name"),
    ],
)
def test_what_may_not_be_allowed_is_refused(ca: Authority, allowed: Identity, said: str) -> None:
    with pytest.raises(IdentityError, match=said):
        ca.issue(allowed=allowed)


def test_certificates_begin_in_whole_seconds_of_utc(ca: Authority) -> None:
    assert ca.issue().chain[0].not_valid_before_utc == datetime.datetime.fromtimestamp(
        NOW - 300, datetime.UTC
    )
