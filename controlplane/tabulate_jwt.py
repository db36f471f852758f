"""JWT providers and where tokens are asked for, to rows of the routing table."""

import hashlib
from collections.abc import Mapping, Sequence

import msgspec

from tulle.controlplane.model import Config
from tulle.controlplane.model_jwt import Jwt, JwtPlace
from tulle.controlplane.table import TokenProviderRow, TokenRow, TokenSourceRow
from tulle.controlplane.tabulate_policies import ClaimPath, claim_path
from tulle.controlplane.units import nanoseconds


class TokenIndex:
    """What requirements are made from: providers, and the claims and fields that all of them share."""

    def __init__(self, config: Config, claims: Sequence[ClaimPath]) -> None:
        self.config = config
        self.claims = tuple(claims)
        self.fields = tuple(
            dict.fromkeys(
                name.lower() for provider in config.jwt.values() for name in provider.claims_to_headers
            )
        )
        self.names = list(config.jwt)
        self.rows = tuple([self._provider(name) for name in config.jwt])

    def requirement(self, jwt: Jwt | None, elsewhere: bool = False) -> TokenRow | None:
        """What is asked for; where several providers look in one place, it is asked about all of them.

        `elsewhere`: other requests of the listener are asked for tokens, so that what upstream is told by
        claims must be taken out of these too.
        """
        if jwt is None:
            return TokenRow((), False) if elsewhere else None
        places: dict[tuple[str, str, str], list[int]] = {}
        for name in jwt.providers:
            for place in self.config.jwt[name].places:
                places.setdefault(_place(place), []).append(self.names.index(name))
        return TokenRow(
            sources=tuple([self._source(place, providers) for place, providers in places.items()]),
            required=jwt.required and bool(jwt.providers),
        )

    def _source(self, place: tuple[str, str, str], providers: Sequence[int]) -> TokenSourceRow:
        kind, name, prefix = place
        rows = tuple(self.rows[index] for index in providers)
        text = msgspec.msgpack.encode((rows, self.claims, self.fields))
        return TokenSourceRow(
            kind=kind,  # type: ignore[arg-type]
            name=name,
            prefix=prefix,
            providers=tuple(providers),
            strip=not all(self.config.jwt[self.names[index]].forward for index in providers),
            asked=int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little") >> 1,
        )

    def _provider(self, name: str) -> TokenProviderRow:
        provider = self.config.jwt[name]
        fields: Mapping[str, str | ClaimPath] = provider.claims_to_headers
        return TokenProviderRow(
            name=name,
            issuer=provider.issuer,
            audiences=provider.audiences,
            leeway=nanoseconds(provider.leeway),
            keys_file=provider.keys.file or "",
            keys_url=provider.keys.url or "",
            refresh=nanoseconds(provider.keys.refresh),
            fields=tuple(
                (self.fields.index(field.lower()), claim_path(claim)) for field, claim in fields.items()
            ),
        )


def _place(place: JwtPlace) -> tuple[str, str, str]:
    if place.header is not None:
        return "header", place.header.lower(), place.prefix.lower()
    if place.cookie is not None:
        return "cookie", place.cookie, ""
    return "query", place.query or "", ""
