"""The checks of JWT providers, and of where tokens are asked for."""

from tulle.controlplane.findings import Report
from tulle.controlplane.model import Config
from tulle.controlplane.model_jwt import Jwt, JwtKeys, JwtPlace, JwtProvider
from tulle.controlplane.problems import Path
from tulle.controlplane.units import nanoseconds
from tulle.controlplane.validate_values import check_durations

MOST_PROVIDERS = 64
MOST_PLACES = 8  # of one provider
MOST_FIELDS = 64  # header fields that are made of claims
SHORTEST_REFRESH = 1_000_000_000  # ns
LONGEST_LEEWAY = 3600_000_000_000  # ns


def check_jwt(config: Config, report: Report) -> None:
    path: Path = ("jwt",)
    if len(config.jwt) > MOST_PROVIDERS:
        report.error("too-many", path, f"there may be {MOST_PROVIDERS} providers at most")
    for name, provider in config.jwt.items():
        _check_provider(provider, (*path, name), report)
    if len({field.lower() for one in config.jwt.values() for field in one.claims_to_headers}) > MOST_FIELDS:
        report.error("too-many", path, f"claims_to_headers may have {MOST_FIELDS} names together")
    used: set[str] = set()
    for index, listener in enumerate(config.listeners):
        if listener.jwt is not None:
            used |= _check_requirement(listener.jwt, ("listeners", index, "jwt"), config, report)
    for table, routes in config.routes.items():
        for index, route in enumerate(routes):
            if route.jwt is not None:
                used |= _check_requirement(route.jwt, ("routes", table, index, "jwt"), config, report)
    for name in config.jwt:
        if name not in used:
            report.warning("unused", (*path, name), f"nobody asks for tokens of {name!r}")


def _check_requirement(jwt: Jwt, path: Path, config: Config, report: Report) -> set[str]:
    for index, name in enumerate(jwt.providers):
        if name not in config.jwt:
            report.unknown((*path, "providers", index), "is no provider", name, "jwt", config.jwt)
    return set(jwt.providers)


def _check_provider(provider: JwtProvider, path: Path, report: Report) -> None:
    _check_keys(provider.keys, (*path, "keys"), report)
    check_durations({"leeway": provider.leeway}, path, (), report)
    if _duration(provider.leeway) > LONGEST_LEEWAY:
        report.error("duration", (*path, "leeway"), "may be 1h at most")
    if not provider.audiences:
        report.warning("audience", path, "takes tokens that were issued for anybody", "Name its audiences.")
    if not 1 <= len(provider.places) <= MOST_PLACES:
        report.error("size", (*path, "from"), f"must have 1 to {MOST_PLACES} places")
    for index, place in enumerate(provider.places):
        _check_place(place, provider, (*path, "from", index), report)
    for name in provider.claims_to_headers:
        if name.lower() in {place.header.lower() for place in provider.places if place.header is not None}:
            report.error(
                "combination", (*path, "claims_to_headers", name), "is where the token is looked for too"
            )


def _check_keys(keys: JwtKeys, path: Path, report: Report) -> None:
    if (keys.file is None) == (keys.url is None):
        report.error("combination", path, "needs one of file and url")
    check_durations({"refresh": keys.refresh}, path, ("refresh",), report)
    if 0 < _duration(keys.refresh) < SHORTEST_REFRESH:
        report.error("duration", (*path, "refresh"), "must be 1s at least")
    if keys.url is None:
        return
    from urllib.parse import urlsplit  # who has no tokens does not pay for it

    parts = urlsplit(keys.url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        report.error("url", (*path, "url"), f"{keys.url!r} is no URL", "It begins with https:// or http://.")
    elif parts.username is not None or parts.password is not None:
        report.error("url", (*path, "url"), "has a password, which would be shown on pages and in dumps")
    elif parts.scheme == "http" and parts.hostname not in ("localhost", "127.0.0.1", "::1"):
        report.warning(
            "plain", (*path, "url"), "whoever is on the way can put in keys of their own", "Write https://."
        )


def _check_place(place: JwtPlace, provider: JwtProvider, path: Path, report: Report) -> None:
    if sum(name is not None for name in (place.header, place.cookie, place.query)) != 1:
        report.error("combination", path, "needs one of header, cookie and query")
        return
    if place.prefix and place.header is None:
        report.error("combination", (*path, "prefix"), "means nothing but with header")
    if place.header is None and not provider.forward:
        report.error("combination", path, "a token can be taken out of a header only", "Set forward: true.")


def _duration(text: str) -> int:
    try:
        return nanoseconds(text)
    except ValueError:
        return 0
