"""The vocabulary of JSON Web Tokens: who issues them, where they are found, and where they are asked for."""

from typing import Annotated

from msgspec import Meta

from tulle.controlplane.model_policies import ClaimName
from tulle.controlplane.model_traffic import PolicyName
from tulle.controlplane.model_values import Duration, FieldName, Section

Claim = ClaimName | tuple[ClaimName, ...]


class JwtKeys(Section, frozen=True):
    """Where the issuer's public keys are, as a JWKS: exactly one of file and url."""

    file: Annotated[str, Meta(min_length=1)] | None = None
    url: Annotated[str, Meta(min_length=8, max_length=2048)] | None = None
    refresh: Duration = "5m"


class JwtPlace(Section, frozen=True):
    """Where a request may have its token: exactly one of header, cookie and query."""

    header: FieldName | None = None
    prefix: Annotated[str, Meta(max_length=64)] = ""
    cookie: FieldName | None = None
    query: Annotated[str, Meta(min_length=1, max_length=256)] | None = None


class JwtProvider(Section, frozen=True, rename={"places": "from"}):
    """An issuer of tokens."""

    issuer: Annotated[str, Meta(min_length=1, max_length=1024)]
    keys: JwtKeys
    audiences: tuple[str, ...] = ()
    leeway: Duration = "60s"
    places: tuple[JwtPlace, ...] = (JwtPlace(header="authorization", prefix="Bearer "),)
    forward: bool = False
    claims_to_headers: dict[FieldName, Claim] = {}


class Jwt(Section, frozen=True):
    """Whose tokens requests have to have, or may have."""

    providers: tuple[PolicyName, ...] = ()
    required: bool = True
