"""Options of HTTP where bytes are forwarded as they are: they mean nothing there, and so are errors."""

from typing import Any

from msgspec import NODEFAULT
from msgspec.structs import fields

from tulle.controlplane.findings import Report
from tulle.controlplane.model import Config, Listener
from tulle.controlplane.model_routes import Retries, Route, Timeouts
from tulle.controlplane.model_tls import ServerTls
from tulle.controlplane.problems import Path

_LISTENER_KEYS = frozenset(
    {"name", "address", "protocol", "routes", "backends", "max_connections", "request_head_timeout",
     "idle_timeout", "access_log", "original_destination", "outbound", "proxy_protocol", "tls"}
)  # fmt: skip
_TLS_KEYS = frozenset(ServerTls.__struct_fields__) - {"alpn"}
_ROUTE_KEYS = frozenset({"name", "hostnames", "destinations", "backends", "timeouts", "retries"})
_TIMEOUT_KEYS = frozenset({"per_try"})
_RETRY_KEYS = frozenset({"attempts", "on", "backoff"})
_RAW_CONDITIONS = frozenset({"connect-failure"})


def check_raw_listener(listener: Listener, path: Path, config: Config, report: Report) -> None:
    """A listener with `protocol: tcp`, and the routes that it uses."""
    _check_keys(listener, _LISTENER_KEYS, path, report)
    if listener.tls is not None:
        _check_keys(listener.tls, _TLS_KEYS, (*path, "tls"), report)
    for index, route in enumerate(config.routes.get(listener.routes or "", [])):
        _check_route(route, ("routes", str(listener.routes), index), listener.name, report)


def _check_keys(section: Any, meaningful: frozenset[str], path: Path, report: Report, user: str = "") -> None:
    defaults = _defaults(section)
    for key in section.__struct_fields__:
        if key not in meaningful and getattr(section, key) != defaults[key]:
            where = f", and the listener {user!r} with `protocol: tcp` uses it" if user else ""
            report.error(
                "combination", (*path, key), f"means nothing for raw TCP{where}",
                "Leave it out, or use another table of routes." if user else "Leave it out.",
            )  # fmt: skip


def _defaults(section: Any) -> dict[str, Any]:
    """What its options are when they are not written; a required one has no default."""
    return {
        field.name: field.default if field.default_factory is NODEFAULT else field.default_factory()
        for field in fields(section)
    }


def _check_route(route: Route, path: Path, user: str, report: Report) -> None:
    _check_keys(route, _ROUTE_KEYS, path, report, user)
    if route.timeouts != Timeouts():
        _check_keys(route.timeouts, _TIMEOUT_KEYS, (*path, "timeouts"), report, user)
    if route.retries is not None:
        _check_retries(route.retries, (*path, "retries"), user, report)


def _check_retries(retries: Retries, path: Path, user: str, report: Report) -> None:
    _check_keys(retries, _RETRY_KEYS, path, report, user)
    if retries.on != Retries().on and not set(retries.on) <= _RAW_CONDITIONS:
        report.error(
            "combination", (*path, "on"),
            f"the listener {user!r} forwards raw TCP, where only a connection that fails can be tried again",
            "Write `on: [connect-failure]`.",
        )  # fmt: skip
