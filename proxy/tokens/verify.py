"""One token (RFC 7519, signed by RFC 7515): whether it holds, until when, and what it says.

Pure: keys and the time are given. What is asked of a token is asked in an order in which nothing that it says
is used before its signature has been found right, but for the choice of the issuer and the key.
"""

import json
import math
import struct
from collections.abc import Callable, Iterable, Sequence
from enum import IntEnum
from typing import Any, NamedTuple

from tulle.controlplane.table import TokenProviderRow
from tulle.proxy.tokens.keys import Key, KeySet, decode_base64url, strict_json

LARGEST_TOKEN = 16_384  # bytes
LARGEST_CLAIMS = 32_768  # bytes of records
LARGEST_FIELD = 4096  # bytes of a header field that is made of a claim
SECOND = 1_000_000_000
LATEST = (1 << 63) - 1
ALGORITHMS = ("RS256", "ES256", "EdDSA")
_RECORD = struct.Struct("=HHI")  # see _fast/policy/claims.pxd


class Reason(IntEnum):
    """Why a token does not hold; the numbers are those of `TokenReason` in _fast/flow/types.pxd."""

    NONE = 0
    MALFORMED = 1
    ALGORITHM = 2
    ISSUER = 3
    KEY = 4
    SIGNATURE = 5
    AUDIENCE = 6
    EXPIRED = 7
    NOT_YET_VALID = 8
    LATER = 9  # not known now: there are no keys yet


class Question(NamedTuple):
    """What is asked of a token: to be of one of these providers, and for these claims."""

    providers: tuple[TokenProviderRow, ...]
    claims: tuple[tuple[str, ...], ...]


class Verdict(NamedTuple):
    """`expires` is wall clock ns."""

    reason: Reason
    expires: int = 0
    records: bytes = b""


class Refused(Exception):
    def __init__(self, reason: Reason) -> None:
        self.reason = reason


KeysOf = Callable[[TokenProviderRow], KeySet | None]


def verify(token: bytes, question: Question, keys_of: KeysOf, now: float) -> Verdict:
    """`now` is in seconds since the epoch; `keys_of` answers None while keys are not known."""
    try:
        head, claims, signed, signature = _take_apart(token)
        key_id = _check_head(head)
        verdict = Verdict(Reason.ISSUER)
        issuer = claims.get("iss")
        for provider in question.providers:
            if provider.issuer != issuer:
                continue
            try:
                keys = keys_of(provider)
                if keys is None:
                    return Verdict(Reason.LATER)
                _check_signature(keys, head["alg"], key_id, signed, signature)
                expires = _check_claims(claims, provider, now)
            except Refused as refused:
                verdict = Verdict(refused.reason)
                continue
            return Verdict(Reason.NONE, expires, _records(claims, question, provider))
    except Refused as refused:
        return Verdict(refused.reason)
    return verdict


def _take_apart(token: bytes) -> tuple[dict[str, Any], dict[str, Any], bytes, bytes]:
    parts = token.split(b".")
    if len(token) > LARGEST_TOKEN or len(parts) != 3:
        raise Refused(Reason.MALFORMED)
    try:
        head, claims = (strict_json(decode_base64url(part)) for part in parts[:2])
        signature = decode_base64url(parts[2])
    except ValueError:
        raise Refused(Reason.MALFORMED) from None
    if not isinstance(head, dict) or not isinstance(claims, dict):
        raise Refused(Reason.MALFORMED)
    return head, claims, parts[0] + b"." + parts[1], signature


def _check_head(head: dict[str, Any]) -> str:
    """The identity of the key, "" when there is none."""
    if head.get("alg") not in ALGORITHMS:
        raise Refused(Reason.ALGORITHM)
    # extensions that must be understood, of which we understand none (RFC 7515 section 4.1.11)
    if "crit" in head or "b64" in head:
        raise Refused(Reason.MALFORMED)
    key_id = head.get("kid", "")
    if not isinstance(key_id, str):
        raise Refused(Reason.MALFORMED)
    return key_id


def _check_signature(keys: KeySet, algorithm: str, key_id: str, signed: bytes, signature: bytes) -> None:
    candidates = _candidates(keys.keys, algorithm, key_id)
    if not candidates:
        raise Refused(Reason.KEY)
    if not any(key.verify(signed, signature) for key in candidates):
        raise Refused(Reason.SIGNATURE)


def _candidates(keys: Iterable[Key], algorithm: str, key_id: str) -> list[Key]:
    """Who names a key gets that one, or those that have no name."""
    return [
        key
        for key in keys
        if key.algorithm == algorithm and (not key_id or not key.identity or key.identity == key_id)
    ]


def _check_claims(claims: dict[str, Any], provider: TokenProviderRow, now: float) -> int:
    """Wall clock ns at which it ends."""
    leeway = provider.leeway / SECOND
    expires = _date(claims, "exp")
    if expires is None:
        raise Refused(Reason.MALFORMED)
    if now >= expires + leeway:
        raise Refused(Reason.EXPIRED)
    begins = _date(claims, "nbf")
    if begins is not None and now < begins - leeway:
        raise Refused(Reason.NOT_YET_VALID)
    if provider.audiences and not set(provider.audiences) & set(_audiences(claims)):
        raise Refused(Reason.AUDIENCE)
    return int(min(expires + leeway, LATEST // SECOND) * SECOND)


def _date(claims: dict[str, Any], name: str) -> float | None:
    """A NumericDate (RFC 7519 section 2)."""
    value = claims.get(name)
    if value is None and name not in claims:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise Refused(Reason.MALFORMED)
    try:
        found = float(value)
    except OverflowError:
        raise Refused(Reason.MALFORMED) from None
    if not math.isfinite(found):
        raise Refused(Reason.MALFORMED)
    return found


def _audiences(claims: dict[str, Any]) -> list[str]:
    value = claims.get("aud")
    values = value if isinstance(value, list) else [value]
    return [one for one in values if isinstance(one, str)]


# -- what it says ---------------------------------------------------------------------------------------


def _records(claims: dict[str, Any], question: Question, provider: TokenProviderRow) -> bytes:
    records = [
        _record(0, index, text)
        for index, path in enumerate(question.claims)
        for text in texts_at(claims, path)
    ]
    for index, path in provider.fields:
        value = ",".join(texts_at(claims, path)).strip().encode()
        # what could not stand in a head is left out, and cannot come from the client either
        if value and len(value) <= LARGEST_FIELD and all(byte >= 0x20 and byte != 0x7F for byte in value):
            records.append(_RECORD.pack(1, index, len(value)) + value)
    found = b"".join(records)
    if len(found) > LARGEST_CLAIMS:
        raise Refused(Reason.MALFORMED)
    return found


def _record(kind: int, index: int, text: str) -> bytes:
    value = text.encode()
    return _RECORD.pack(kind, index, len(value)) + value


def texts_at(claims: Any, path: Sequence[str]) -> list[str]:
    """A claim as texts: a text, a number, a truth value, or a list of texts; none for anything else."""
    for name in path:
        if not isinstance(claims, dict) or name not in claims:
            return []
        claims = claims[name]
    if isinstance(claims, list):
        return [one for one in claims if _is_text(one)]
    if isinstance(claims, str):
        return [claims] if _is_text(claims) else []
    if isinstance(claims, (bool, int, float)):
        return [json.dumps(claims)]
    return []


def _is_text(value: Any) -> bool:
    """Half a surrogate pair, which JSON can write, is no text."""
    return isinstance(value, str) and not any(0xD800 <= ord(character) <= 0xDFFF for character in value)
