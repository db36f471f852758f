"""Keys of a JWKS (RFC 7517) that may verify tokens: RSA for RS256, P-256 for ES256, Ed25519 for EdDSA.

A key says by itself which algorithm it is for, by its type; a token's header only chooses among those. So
nobody can have a public RSA key taken for the secret of an HMAC, and there is no `none`.
"""

import base64
import binascii
import json
import re
from collections.abc import Callable
from typing import Any, NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils
from cryptography.hazmat.primitives.hashes import SHA256

MOST_KEYS = 64  # of one set
SMALLEST_RSA = 2048  # bits (RFC 7518 section 3.3)
LARGEST_RSA = 8192
_BASE64URL = re.compile(rb"[A-Za-z0-9_-]*")

Verify = Callable[[bytes, bytes], bool]  # of a message and a signature


class Key(NamedTuple):
    """One public key; `identity` is its kid, "" when it has none."""

    identity: str
    algorithm: str
    verify: Verify


class KeySet(NamedTuple):
    """The keys of one JWKS, and what of it could not be used."""

    keys: tuple[Key, ...]
    passed_over: tuple[str, ...]


def read_keys(text: bytes) -> KeySet:
    """ValueError when this is no JWKS, or has no key that can be used; others of its keys are passed over."""
    document = strict_json(text)
    if not isinstance(document, dict) or not isinstance(document.get("keys"), list):
        raise ValueError("this is no JWKS: an object with a list of `keys`")
    if len(document["keys"]) > MOST_KEYS:
        raise ValueError(f"it has {len(document['keys'])} keys, more than {MOST_KEYS}")
    keys: list[Key] = []
    passed_over: list[str] = []
    for index, jwk in enumerate(document["keys"]):
        try:
            keys.append(_key(jwk))
        except ValueError as error:
            passed_over.append(f"keys[{index}]: {error}")
    if not keys:
        raise ValueError("it has no key that could be used; " + "; ".join(passed_over or ["it is empty"]))
    return KeySet(tuple(keys), tuple(passed_over))


def _key(jwk: Any) -> Key:
    if not isinstance(jwk, dict):
        raise ValueError("it is no object")
    if jwk.get("use", "sig") != "sig":
        raise ValueError("its use is not sig")
    if "key_ops" in jwk and "verify" not in (jwk["key_ops"] or ()):
        raise ValueError("its key_ops are without verify")
    algorithm, verify = _verifier(jwk)
    if jwk.get("alg", algorithm) != algorithm:
        raise ValueError(f"its alg is {jwk['alg']!r}, and it could only be {algorithm}")
    identity = jwk.get("kid", "")
    if not isinstance(identity, str):
        raise ValueError("its kid is no text")
    return Key(identity, algorithm, verify)


def _verifier(jwk: dict[str, Any]) -> tuple[str, Verify]:
    kind, curve = jwk.get("kty"), jwk.get("crv")
    if kind == "RSA":
        return "RS256", _rsa(_number(jwk, "n"), _number(jwk, "e"))
    if kind == "EC" and curve == "P-256":
        return "ES256", _p256(_number(jwk, "x"), _number(jwk, "y"))
    if kind == "OKP" and curve == "Ed25519":
        return "EdDSA", _ed25519(_bytes(jwk, "x"))
    raise ValueError(f"keys of the type {kind!r}{f' and the curve {curve!r}' if curve else ''} are not used")


def _rsa(modulus: int, exponent: int) -> Verify:
    if not SMALLEST_RSA <= modulus.bit_length() <= LARGEST_RSA:
        raise ValueError(f"it has {modulus.bit_length()} bits, not {SMALLEST_RSA} to {LARGEST_RSA}")
    key = rsa.RSAPublicNumbers(exponent, modulus).public_key()

    def verify(message: bytes, signature: bytes) -> bool:
        return _holds(lambda: key.verify(signature, message, padding.PKCS1v15(), SHA256()))

    return verify


def _p256(x: int, y: int) -> Verify:
    key = ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()

    def verify(message: bytes, signature: bytes) -> bool:
        if len(signature) != 64:  # two numbers of 32 bytes (RFC 7518 section 3.4)
            return False
        r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
        return _holds(lambda: key.verify(utils.encode_dss_signature(r, s), message, ec.ECDSA(SHA256())))

    return verify


def _ed25519(public: bytes) -> Verify:
    key = ed25519.Ed25519PublicKey.from_public_bytes(public)

    def verify(message: bytes, signature: bytes) -> bool:
        return _holds(lambda: key.verify(signature, message))

    return verify


def _holds(check: Callable[[], None]) -> bool:
    try:
        check()
    except InvalidSignature:
        return False
    return True


def _bytes(jwk: dict[str, Any], name: str) -> bytes:
    value = jwk.get(name)
    if not isinstance(value, str):
        raise ValueError(f"its {name} is missing")
    try:
        return decode_base64url(value.encode())
    except ValueError:
        raise ValueError(f"its {name} is not base64url") from None


def _number(jwk: dict[str, Any], name: str) -> int:
    return int.from_bytes(_bytes(jwk, name), "big")


# -- the encodings of JOSE ------------------------------------------------------------------------------


def decode_base64url(text: bytes) -> bytes:
    """Without padding (RFC 7515 section 2), and in the one way in which it is encoded; ValueError else."""
    if not _BASE64URL.fullmatch(text):
        raise ValueError("this is not base64url")
    try:
        found = base64.urlsafe_b64decode(text + b"=" * (-len(text) % 4))
    except binascii.Error:
        raise ValueError("this is not base64url") from None
    if base64.urlsafe_b64encode(found).rstrip(b"=") != text:
        raise ValueError("this is not base64url")
    return found


def strict_json(text: bytes) -> Any:
    """JSON in which no name is there twice (RFC 7519 section 4); ValueError else, and for what is no JSON."""
    try:
        return json.loads(text.decode(), object_pairs_hook=_object, parse_constant=_no_constant)
    except RecursionError:
        raise ValueError("this is nested too deeply") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name is there twice")
    return found


def _no_constant(text: str) -> Any:
    raise ValueError(f"{text} is no JSON")
