"""What the types of the model cannot say: references, formats, combinations.

Those of routes and clusters are in `validate_routes` and `validate_clusters`; what is legal and can hardly be
meant is in `validate_suspicions`.
"""

from tulle.controlplane.address import SocketAddress, is_name, parse_address
from tulle.controlplane.findings import Finding, Report
from tulle.controlplane.log_format import text_items
from tulle.controlplane.model import AccessLog, Config, Listener
from tulle.controlplane.model_control import ControlPlane
from tulle.controlplane.names import MOST_LISTENERS
from tulle.controlplane.problems import Path
from tulle.controlplane.tabulate_interception import PASSTHROUGH, passes_on
from tulle.controlplane.units import nanoseconds
from tulle.controlplane.validate_clusters import check_clusters
from tulle.controlplane.validate_greeting import check_greeting
from tulle.controlplane.validate_groups import check_groups
from tulle.controlplane.validate_http import check_keepalive
from tulle.controlplane.validate_interception import check_intercepted_routes, check_intercepting
from tulle.controlplane.validate_jwt import check_jwt
from tulle.controlplane.validate_policies import check_policies
from tulle.controlplane.validate_raw import check_raw_listener
from tulle.controlplane.validate_routes import check_backends, check_table
from tulle.controlplane.validate_suspicions import check_suspicions
from tulle.controlplane.validate_tls import check_server_tls
from tulle.controlplane.validate_traffic import check_rates
from tulle.controlplane.validate_values import LEAST_HEAD, MOST_HEAD, check_durations, check_size

LEAST_MEMORY = 1 << 20


def validate(config: Config, report: Report) -> list[Finding]:
    """Everything that is wrong or odd about a config whose types are right; errors go into `report` too."""
    _check_process(config, report)
    _check_listeners(config, report)
    check_clusters(config.clusters, report)
    check_groups(config, report)
    check_policies(config, report)
    check_jwt(config, report)
    used = {listener.routes for listener in config.listeners if listener.routes is not None}
    used_clusters = {backend.cluster for listener in config.listeners for backend in listener.backends}
    if any(map(passes_on, config.listeners)):
        used_clusters.add(PASSTHROUGH)
    for name, routes in config.routes.items():
        path = ("routes", name)
        check_intercepted_routes(routes, path, config, report)
        if name not in used:
            report.warning("unused", path, f"no listener uses the routes {name!r}")
        used_clusters |= check_table(routes, path, config.clusters, report)
    for name in config.clusters:
        if name not in used_clusters:
            report.warning("unused", ("clusters", name), f"no route leads to the cluster {name!r}")
    check_suspicions(config, report)
    return report.findings


def _check_process(config: Config, report: Report) -> None:
    check_durations(
        {"drain_timeout": config.drain_timeout, "upgrade_drain_timeout": config.upgrade_drain_timeout},
        (), (), report,
    )  # fmt: skip
    if config.admin is not None:
        _check_bind_address(config.admin.address, ("admin", "address"), report)
    if config.control_plane is not None:
        _check_control_plane(config.control_plane, ("control_plane",), report)
    _check_access_log(config.access_log, report)
    if config.overload.max_memory is not None:
        check_size(config.overload.max_memory, ("overload", "max_memory"), LEAST_MEMORY, 1 << 50, report)
    buckets = config.stats.histogram_buckets
    check_durations({"removed_after": config.stats.removed_after}, ("stats",), (), report)
    path: Path = ("stats", "histogram_buckets")
    check_durations({str(index): bound for index, bound in enumerate(buckets)}, path, (), report)
    try:
        bounds = [nanoseconds(bound) for bound in buckets]
    except ValueError:
        return
    if sorted(set(bounds)) != bounds or bounds[0] == 0:
        report.error("order", path, "the bounds must rise, from more than 0s")


def _check_control_plane(control_plane: ControlPlane, path: Path, report: Report) -> None:
    for index, text in enumerate(control_plane.addresses):
        try:
            parse_address(text)
        except ValueError as error:
            report.error("address", (*path, "addresses", index), str(error))
    if control_plane.unknown != "allow_any" and not control_plane.original_destination:
        report.error(
            "combination", (*path, "unknown"), "means nothing without `original_destination: true`",
            "Leave it out.",
        )  # fmt: skip
    for key in ("outbound", "inbound", "inbound_plain"):
        address = getattr(control_plane, key)
        if address is not None:
            _check_bind_address(address, (*path, key), report)
    try:
        parse_address(str(SocketAddress(control_plane.application_host, 1)))
    except ValueError:
        text = f"{control_plane.application_host!r} is neither an IP address nor a host name"
        report.error("address", (*path, "application_host"), text, "Without a port: services have theirs.")


def _check_access_log(access_log: AccessLog, report: Report) -> None:
    if access_log.format_string is None:
        return
    path: Path = ("access_log", "format_string")
    if access_log.format != "text":
        report.error(
            "combination", path, f"means nothing with format: {access_log.format}", "Use format: text."
        )
    try:
        text_items(access_log.format_string)
    except ValueError as error:
        report.error("log-format", path, str(error))


def _check_bind_address(text: str, path: Path, report: Report) -> None:
    try:
        address = parse_address(text, lowest_port=0)
    except ValueError as error:
        report.error("address", path, str(error))
        return
    if is_name(address):
        hint = (
            f"Write 127.0.0.1:{address.port}."
            if address.host == "localhost"
            else "Or 0.0.0.0 for all of them."
        )
        report.error("address", path, f"{text!r} must have an IP address to listen on, not a name", hint)


def _check_listeners(config: Config, report: Report) -> None:
    names: dict[str, int] = {}
    addresses: dict[str, int] = {}
    if not config.listeners and config.control_plane is None:
        report.warning("no-listeners", (), "there are no listeners, so nothing will be served")
    if len(config.listeners) > MOST_LISTENERS:
        report.error("too-many", ("listeners",), f"there may be {MOST_LISTENERS} listeners at most")
    for index, listener in enumerate(config.listeners):
        path: Path = ("listeners", index)
        _check_listener(listener, path, config, report)
        if names.setdefault(listener.name, index) != index:
            first = names[listener.name]
            report.error("duplicate", (*path, "name"), f"listeners[{first}] is called {listener.name!r} too")
        if not listener.address.endswith(":0") and addresses.setdefault(listener.address, index) != index:
            first = addresses[listener.address]
            report.error(
                "duplicate", (*path, "address"), f"listeners[{first}] listens on {listener.address} too"
            )


def _check_listener(listener: Listener, path: Path, config: Config, report: Report) -> None:
    _check_bind_address(listener.address, (*path, "address"), report)
    check_intercepting(listener, path, config, report)
    check_greeting(listener, path, report)
    if listener.protocol == "tcp":
        check_raw_listener(listener, path, config, report)
    if listener.routes is not None and listener.backends:
        report.error("combination", path, "has routes and backends", "Keep one of them.")
    elif listener.routes is None and not listener.backends and not passes_on(listener):
        report.error("missing-key", path, "'routes' is missing: there is nowhere to send requests to")
    if listener.routes is not None and listener.routes not in config.routes:
        report.unknown((*path, "routes"), "are no routes", listener.routes, "routes", config.routes)
    check_backends(listener.backends, (*path, "backends"), config.clusters, report)
    check_durations(
        {"request_head_timeout": listener.request_head_timeout, "idle_timeout": listener.idle_timeout},
        path, ("request_head_timeout",), report,
    )  # fmt: skip
    most = config.overload.max_connections
    if most is not None and listener.max_connections is not None and listener.max_connections > most:
        report.warning(
            "never", (*path, "max_connections"), f"is never reached: overload.max_connections is {most:,}"
        )
    check_size(listener.max_request_head, (*path, "max_request_head"), LEAST_HEAD, MOST_HEAD, report)
    check_size(listener.max_request_line, (*path, "max_request_line"), 64, MOST_HEAD, report)
    check_rates(listener.rate_limits, (*path, "rate_limits"), report)
    check_keepalive(listener.keepalive, (*path, "keepalive"), report)
    if listener.tls is not None:
        check_server_tls(listener.tls, listener.protocol, (*path, "tls"), report)
    mode = listener.forward_client_cert_details
    if mode not in ("sanitize", "always_forward_only") and (
        listener.tls is None or listener.tls.client_ca is None
    ):
        report.error(
            "combination", (*path, "forward_client_cert_details"),
            f"{mode} is about clients with a certificate, and none are asked for one",
            "Give `tls` with a client_ca, or write `always_forward_only` if all clients are believed.",
        )  # fmt: skip
    if listener.max_request_body is not None:
        check_size(listener.max_request_body, (*path, "max_request_body"), 0, 1 << 50, report)
