"""The names in a certificate, as the DER reader finds them and as `cryptography` wrote them."""

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from tests._fast.net import certificates
from tests.controlplane.identity.making import make

KEY = ec.generate_private_key(ec.SECP256R1())
DNS, URI = 0x82, 0x86
SUBJECT = 1  # of the parts that are forwarded
ID = "spiffe://example.org/ns/shop/sa/cart"


def der(name: str = "", *names: str) -> bytes:
    return make(name, private=KEY, names=names).certificate.public_bytes(Encoding.DER)


def principal(name: str, *names: str) -> object:
    found = certificates.read(der(name, *names))
    assert found is not None
    return found[2]


def test_the_names_are_found_in_their_order() -> None:
    names = ("DNS:a.example", "IP:10.0.0.1", f"URI:{ID}", "DNS:*.b.example")
    found = certificates.read(der("somebody", *names))
    assert found is not None
    assert found[0] == [
        (DNS, b"a.example"), (0x87, b"\x0a\x00\x00\x01"), (URI, ID.encode()), (DNS, b"*.b.example")
    ]  # fmt: skip
    assert found[1] == b"CN=somebody"


@pytest.mark.parametrize(
    ("name", "names", "expected"),
    [
        ("cn", ("DNS:a.example", f"URI:{ID}"), ID.encode()),
        ("cn", ("DNS:a.example", "DNS:b.example"), b"a.example"),
        ("cn", ("URI:https://a.example/",), b"CN=cn"),
        ("cn", (), b"CN=cn"),
        ("", (), None),
        ("a,CN=b", (), None),
        ("a\nb", (), None),
        ("cn", (f"URI:{ID}", f"URI:{ID}"), False),
        ("cn", (f"URI:{ID}", "URI:https://a.example/"), False),
        ("cn", ("URI:https://a.example/", f"URI:{ID}"), False),
        ("cn", ("URI:spiffe://example.org",), b"spiffe://example.org"),
        ("cn", ("URI:SPIFFE://example.org/a",), False),
        ("cn", ("URI:spiffe://",), False),
        ("cn", ("URI:spiffe:///a",), False),
        ("cn", ("URI:spiffe://Example.org/a",), False),
        ("cn", ("URI:spiffe://example.org/",), False),
        ("cn", ("URI:spiffe://example.org//a",), False),
        ("cn", ("URI:spiffe://example.org/.",), False),
        ("cn", ("URI:spiffe://example.org/a/../b",), False),
        ("cn", ("URI:spiffe://example.org/..a/A_b-c",), b"spiffe://example.org/..a/A_b-c"),
        ("cn", ("URI:spiffe://example.org:1/a",), False),
        ("cn", ("URI:spiffe://u@example.org/a",), False),
        ("cn", ("URI:spiffe://example.org/a?b",), False),
        ("cn", ("URI:spiffe://example.org/%41",), False),
        ("cn", ("URI:spiffe://example.org/" + "a" * 2023,), b"spiffe://example.org/" + b"a" * 2023),
        ("cn", ("URI:spiffe://example.org/" + "a" * 2028,), False),
    ],
)
def test_who_it_is(name: str, names: tuple[str, ...], expected: object) -> None:
    assert principal(name, *names) == expected


def with_subject(*attributes: x509.NameAttribute) -> bytes:
    subject = x509.Name(attributes)
    made = make("x", private=KEY)
    builder = x509.CertificateBuilder(
        subject, subject, KEY.public_key(), 1,
        made.certificate.not_valid_before_utc, made.certificate.not_valid_after_utc,
    )  # fmt: skip
    return builder.sign(KEY, made.certificate.signature_hash_algorithm).public_bytes(Encoding.DER)


def test_a_subject_of_several_parts() -> None:
    several = with_subject(
        x509.NameAttribute(NameOID.COUNTRY_NAME, "DE"),
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Shop"),
        x509.NameAttribute(NameOID.COMMON_NAME, "cart"),
    )
    found = certificates.read(several)
    assert found is not None
    assert found[1] == b"C=DE,O=Shop,CN=cart"
    # the field has the order of RFC 4514
    assert certificates.forwarded(several, SUBJECT) == b'Hash=ab;Subject="CN=cart,O=Shop,C=DE"'


def test_a_subject_with_more_parts_than_are_read() -> None:
    many = [x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, f"u{index}") for index in range(33)]
    assert certificates.forwarded(with_subject(*many), SUBJECT) == b'Hash=ab;Subject=""'
    found = certificates.forwarded(with_subject(*many[1:]), SUBJECT)
    assert found is not None
    assert found.endswith(b',OU=u1"')


@pytest.mark.parametrize(
    ("name", "names", "parts", "expected"),
    [
        ("cart", ("DNS:a.example", f"URI:{ID}"), 0, b""),
        ("cart", ("DNS:a.example", f"URI:{ID}"), 2, b";URI=" + ID.encode()),
        ("cart", ("DNS:a.example", "URI:spiffe://a"), 7, b';Subject="CN=cart";URI=spiffe://a;DNS=a.example'),
        ('x";URI=evil', ("DNS:a.example",), 7, b';Subject="";DNS=a.example'),
        ("a\\b", (), 1, b';Subject=""'),
        ("", (), 7, b';Subject=""'),
        ("x", ("URI:a;URI=b", "URI:a,b", 'URI:a"', "URI:a b", "URI:a=b", "URI:c"), 2, b";URI=c"),
        ("x", ("URI:" + "a" * 4096, "URI:b"), 2, b";URI=b"),
    ],
)
def test_what_is_forwarded(name: str, names: tuple[str, ...], parts: int, expected: bytes) -> None:
    assert certificates.forwarded(der(name, *names), parts) == b"Hash=ab" + expected


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        (b"a.example", b"a.example", True), (b"A.example", b"a.EXAMPLE", True),
        (b"a.example", b"b.example", False),
        (b"*.a.example", b"b.a.example", True), (b"*.a.example", b"a.example", False),
        (b"*.a.example", b"c.b.a.example", False), (b"*.a.example", b".a.example", False),
        (b"*.example", b"a.example", False), (b"*", b"a", False), (b"*a.b.example", b"aa.b.example", False),
        (b"", b"", False), (b"a.example.", b"a.example", False), (b"*.", b"a.", False),
    ],
)  # fmt: skip
def test_names_of_hosts(pattern: bytes, name: bytes, expected: bool) -> None:
    assert certificates.matches(pattern, name) is expected


def test_a_name_is_looked_for_by_its_kind() -> None:
    one = der("cn", "DNS:a.example", "URI:https://b.example/")
    assert certificates.has_name(one, "dns", b"a.example")
    assert certificates.has_name(one, "uri", b"https://b.example/")
    assert not certificates.has_name(one, "uri", b"a.example")
    assert not certificates.has_name(one, "uri", b"https://b.example")
    assert not certificates.has_name(one, "dns", b"cn")


def test_a_zero_in_a_name_cuts_nothing_off() -> None:
    """The classic trick: a name that C would read as a shorter one."""
    one = der("cn", "DNS:a.exampleXevil").replace(b"a.exampleXevil", b"a.example\0evil")
    assert not certificates.has_name(one, "dns", b"a.example")
    found = certificates.read(one)
    assert found is not None
    assert found[2] == b"CN=cn"


def test_every_shorter_input_is_refused_or_read_within_its_bounds() -> None:
    whole = der("somebody", "DNS:a.example", f"URI:{ID}")
    for end in range(len(whole)):
        assert certificates.read(whole[:end]) is None
