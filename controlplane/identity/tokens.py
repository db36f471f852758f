"""Join tokens: by one a service that has no certificate yet proves, once, which identity it may ask for.

A token is `tulle-join.CLAIMS.MAC`, both parts base64url without padding. The claims are open to whoever has
the token, and name the roots of the trust domain, so that the joining side can tell the true control plane
from another. The MAC, HMAC-SHA256 with a secret of the authority, is checked before a claim is believed. That
a token counts once is the task of a `Used`, which all who accept tokens must share.

Times are passed in, in seconds since 1970.
"""

import base64
import binascii
import hmac
import os
import secrets
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Literal, Protocol

import msgspec

from tulle.controlplane.identity import disk
from tulle.controlplane.identity.errors import IdentityError
from tulle.controlplane.identity.facts import DAY, span
from tulle.controlplane.identity.spiffe import parse_workload

PREFIX = "tulle-join"
LIFE = 3600.0  # seconds
LONGEST_LIFE = 7 * DAY
LEEWAY = 60.0  # seconds by which clocks may differ, of a token that is not valid yet
LONGEST_TOKEN = 8192  # characters
SECRET_LENGTH = 32  # bytes

Code = Literal["malformed", "forged", "not-yet-valid", "expired", "used"]


class TokenError(IdentityError):
    """A token that is refused. What it says of the token never has the token itself."""

    def __init__(self, code: Code, message: str) -> None:
        super().__init__(f"the join token is refused: {message}")
        self.code = code


class Claims(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a token says."""

    id: str  # of the token
    identity: str  # the SPIFFE id that may be asked for
    dns_names: tuple[str, ...]
    not_before: float
    expires: float
    roots: tuple[str, ...]  # SHA-256 of the roots' certificates, as `facts` has it


class Used(Protocol):
    """Which tokens have been used."""

    def use(self, token_id: str, expires: float, now: float) -> bool:
        """Whether this is the first time; true for one caller only, whoever asks at the same time.

        After `expires` it may be forgotten. When it cannot be known, an exception and not true.
        """


def make_secret() -> bytes:
    return secrets.token_bytes(SECRET_LENGTH)


def make_token(
    secret: bytes,
    identity: str,
    now: float,
    life: float = LIFE,
    dns_names: tuple[str, ...] = (),
    roots: tuple[str, ...] = (),
) -> str:
    """A token for one identity. IdentityError when that is none, or it would live too long."""
    try:
        parse_workload(identity)
    except ValueError as error:
        raise IdentityError(str(error)) from None
    if not 0 < life <= LONGEST_LIFE:
        raise IdentityError(f"a join token may live for {span(LONGEST_LIFE)} at most, not for {span(life)}")
    claims = Claims(secrets.token_hex(16), identity, dns_names, now, now + life, roots)
    text = f"{PREFIX}.{_encoded(msgspec.json.encode(claims))}"
    return f"{text}.{_encoded(_mac(secret, text))}"


def read_claims(token: str) -> Claims:
    """What a token says, believed or not: for the side that has been given it."""
    parts = token.strip().split(".")
    if len(token) > LONGEST_TOKEN or len(parts) != 3 or parts[0] != PREFIX:
        raise TokenError("malformed", f"it is none; one begins with {PREFIX}. and has three parts")
    try:
        return msgspec.json.decode(_decoded(parts[1]), type=Claims)
    except (ValueError, binascii.Error):
        raise TokenError("malformed", "it is damaged; copy it whole") from None


def check_token(secret: bytes, token: str, now: float) -> Claims:
    """What a token says, if it was made with this secret and is valid now; it may have been used."""
    token = token.strip()
    text, _, mac = token.rpartition(".")
    if not hmac.compare_digest(_encoded(_mac(secret, text)).encode(), mac.encode()):
        read_claims(token)  # says so, if it is none at all
        raise TokenError("forged", "it was not made by this authority, or has been changed")
    claims = read_claims(token)
    if now < claims.not_before - LEEWAY:
        early = span(claims.not_before - now)
        raise TokenError("not-yet-valid", f"it is valid only in {early}; are the clocks right?")
    if now >= claims.expires:
        raise TokenError("expired", f"it has expired {span(now - claims.expires)} ago; ask for another")
    return claims


def use_token(claims: Claims, used: Used, now: float) -> None:
    """Have a token that was checked count as used. TokenError when it was used before."""
    if not used.use(claims.id, claims.expires, now):
        raise TokenError("used", f"it has been used already, for {claims.identity}; ask for another")


def _mac(secret: bytes, text: str) -> bytes:
    if len(secret) < SECRET_LENGTH:
        raise ValueError("the secret is too short")
    return hmac.digest(secret, text.encode(), "sha256")


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decoded(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)


class UsedInMemory:
    """For one process whose tokens need not outlive it."""

    def __init__(self) -> None:
        self.expiry: dict[str, float] = {}

    def use(self, token_id: str, expires: float, now: float) -> bool:
        self.expiry = {one: end for one, end in self.expiry.items() if end > now}
        if token_id in self.expiry:
            return False
        self.expiry[token_id] = expires
        return True


class UsedOnDisk:
    """For all processes that share a directory: a file for each used token, made by one of them only."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def use(self, token_id: str, expires: float, now: float) -> bool:
        if not (token_id.isascii() and token_id.isalnum()):
            raise IdentityError("a token's id is not hexadecimal")
        try:
            self.folder.mkdir(mode=0o700, exist_ok=True)
            self._forget(now)
            return self._make(self.folder / token_id, expires)
        except OSError as error:
            raise IdentityError(f"{self.folder}: cannot be written: {error.strerror}") from None

    def _make(self, path: Path, expires: float) -> bool:
        """Whether it was this one who made the file, which is never there without its time."""
        descriptor, temporary = tempfile.mkstemp(prefix=".", dir=self.folder)
        try:
            os.utime(descriptor, (expires, expires))
            os.fsync(descriptor)
            os.link(temporary, path)
        except FileExistsError:
            return False
        finally:
            os.close(descriptor)
            Path(temporary).unlink()
        disk.sync_directory(self.folder)
        return True

    def _forget(self, now: float) -> None:
        """A file's time is when its token expires; a day more, as clocks and file systems differ."""
        for path in self.folder.glob("[!.]*"):
            with suppress(OSError):
                if path.stat().st_mtime < now - DAY:
                    path.unlink()
