"""An issuer of tokens, for tests: a key, its JWKS, and tokens that it signs."""

import base64
import json
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat


def encode(value: Any) -> bytes:
    """base64url of bytes, or of what becomes JSON."""
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def make_key(algorithm: str) -> Any:
    if algorithm == "RS256":
        return rsa.generate_private_key(65537, 2048)
    return (
        ec.generate_private_key(ec.SECP256R1())
        if algorithm == "ES256"
        else ed25519.Ed25519PrivateKey.generate()
    )


def jwk_of(key: Any, key_id: str) -> dict[str, Any]:
    """The public half, as RFC 7518 section 6 and RFC 8037 write it."""
    public = key.public_key()

    def number(value: int, length: int | None = None) -> str:
        return encode(value.to_bytes(length or (value.bit_length() + 7) // 8, "big")).decode()

    if isinstance(key, rsa.RSAPrivateKey):
        numbers = public.public_numbers()
        return {"kty": "RSA", "n": number(numbers.n), "e": number(numbers.e), "kid": key_id}
    if isinstance(key, ec.EllipticCurvePrivateKey):
        numbers = public.public_numbers()
        return {
            "kty": "EC",
            "crv": "P-256",
            "x": number(numbers.x, 32),
            "y": number(numbers.y, 32),
            "kid": key_id,
        }
    raw = public.public_bytes(Encoding.Raw, PublicFormat.Raw)
    return {"kty": "OKP", "crv": "Ed25519", "x": encode(raw).decode(), "kid": key_id}


class Issuer:
    """One key and what is signed with it."""

    def __init__(self, algorithm: str, key_id: str = "key") -> None:
        self.algorithm = algorithm
        self.key_id = key_id
        self.key = make_key(algorithm)

    def jwks(self) -> bytes:
        return json.dumps({"keys": [jwk_of(self.key, self.key_id)]}).encode()

    def token(self, claims: dict[str, Any], head: dict[str, Any] | None = None) -> bytes:
        return self.sign(json.dumps(claims).encode(), head)

    def sign(self, payload: bytes, head: dict[str, Any] | None = None) -> bytes:
        signed = encode({"alg": self.algorithm, "kid": self.key_id, **(head or {})}) + b"." + encode(payload)
        return signed + b"." + encode(self._signature(signed))

    def _signature(self, signed: bytes) -> bytes:
        if self.algorithm == "RS256":
            found: bytes = self.key.sign(signed, padding.PKCS1v15(), hashes.SHA256())
            return found
        if self.algorithm == "ES256":
            r, s = utils.decode_dss_signature(self.key.sign(signed, ec.ECDSA(hashes.SHA256())))
            return r.to_bytes(32, "big") + s.to_bytes(32, "big")
        signature: bytes = self.key.sign(signed)
        return signature
