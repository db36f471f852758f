"""Mutated certificates through the DER reader.

Nothing outside of the input is read, and it agrees with `cryptography`.

Input number N is made from N alone: `check(N)` tries one again.
"""

import random
import re

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from tests._fast.net import certificates
from tests.controlplane.identity.making import make

KEY = ec.derive_private_key(4711, ec.SECP256R1())
KINDS: dict[type[x509.GeneralName], int] = {x509.DNSName: 0x82, x509.UniformResourceIdentifier: 0x86}
CORPUS = tuple(
    make("somebody", private=KEY, names=names).certificate.public_bytes(Encoding.DER)
    for names in (
        (),
        ("DNS:a.example",),
        ("URI:spiffe://example.org/ns/shop/sa/cart",),
        ("DNS:a.example", "URI:https://b.example/", "DNS:*.c.example", "IP:10.0.0.1"),
        tuple(f"DNS:host-{number}.example" for number in range(60)),
    )
)


def mutate(chance: random.Random, data: bytes) -> bytes:
    for _ in range(chance.choice((0, 1, 1, 2, 3, 8))):
        position = chance.randrange(len(data) + 1)
        removed = chance.choice((0, 0, 1, 1, 4, 40))
        how = chance.randrange(4)
        if how == 0:
            piece = chance.randbytes(chance.randrange(1, 5))
        elif how == 1:
            piece = bytes([chance.choice((0x30, 0x80, 0x81, 0x82, 0x83, 0x84, 0xA3, 0x04, 0xFF, 0x00, 0x86))])
        elif how == 2:
            piece = data[position : position + removed] * chance.choice((2, 3))
        else:
            piece = b""
        data = data[:position] + piece + data[position + removed :]
    return data[: chance.randrange(len(data) + 1)] if chance.random() < 0.1 else data


def expected_names(data: bytes) -> list[tuple[int, bytes]] | None:
    """DNS names and URIs as `cryptography` reads them; None when it has doubts."""
    try:
        found = x509.load_der_x509_certificate(data)
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    except Exception:
        return None
    return [
        (KINDS[type(name)], name.value.encode())
        for name in names
        if isinstance(name, (x509.DNSName, x509.UniformResourceIdentifier))
    ]


def check_field(field: bytes | None, number: int) -> None:
    """Whatever the names are, no one of them is more than one element of the field."""
    if field is None:
        return
    elements = field.split(b";")
    assert elements[0] == b"Hash=ab", f"input {number}: {field!r}"
    assert re.fullmatch(rb'Subject="[ -~]*"', elements[1]), f"input {number}: {field!r}"
    assert field.count(b'"') == 2, f"input {number}: {field!r}"
    for element in elements[2:]:
        assert re.fullmatch(rb"(URI|DNS)=[^=,\x00-\x20\x7f-\xff]+", element), f"input {number}: {field!r}"


def check(number: int) -> None:
    """Try input number N."""
    chance = random.Random(number)
    data = mutate(chance, chance.choice(CORPUS))
    found = certificates.read(data)
    check_field(certificates.forwarded(data, 7), number)
    wanted = expected_names(data)
    if wanted is None:
        return
    assert found is not None, f"input {number}: refused, and {wanted} by cryptography: {data.hex()}"
    seen = [(kind, name) for kind, name in found[0] if kind in KINDS.values()]
    assert seen == wanted, f"input {number}: {seen}, and {wanted} by cryptography: {data.hex()}"
