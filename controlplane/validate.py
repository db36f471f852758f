"""What the types of the model cannot say: references, formats, combinations. See `validate_routes` too."""

from collections.abc import Mapping, Sequence

from tulle.controlplane.address import is_name, parse_address
from tulle.controlplane.findings import Finding, Report
from tulle.controlplane.log_format import text_items
from tulle.controlplane.model import AccessLog, Cluster, Config, Listener
from tulle.controlplane.problems import Path
from tulle.controlplane.units import nanoseconds, size_in_bytes
from tulle.controlplane.validate_routes import check_backends, check_table

LEAST_HEAD = 1024
MOST_HEAD = 96 << 10  # a head has to lie in one large buffer, with what is added to it


def validate(config: Config, report: Report) -> list[Finding]:
    """Everything that is wrong or odd about a config whose types are right; errors go into `report` too."""
    _check_process(config, report)
    _check_listeners(config, report)
    _check_clusters(config.clusters, report)
    used = {listener.routes for listener in config.listeners if listener.routes is not None}
    used_clusters = {backend.cluster for listener in config.listeners for backend in listener.backends}
    for name, routes in config.routes.items():
        path = ("routes", name)
        if name not in used:
            report.warning("unused", path, f"no listener uses the routes {name!r}")
        used_clusters |= check_table(routes, path, config.clusters, report)
    for name in config.clusters:
        if name not in used_clusters:
            report.warning("unused", ("clusters", name), f"no route leads to the cluster {name!r}")
    return report.findings


def check_durations(
    options: Mapping[str, str | None], path: Path, positive: Sequence[str], report: Report
) -> None:
    """Durations by their key; those of `positive` may not be 0."""
    for key, text in options.items():
        if text is None:
            continue
        try:
            value = nanoseconds(text)
        except ValueError as error:
            report.error("duration", (*path, key), str(error))
            continue
        if value == 0 and key in positive:
            report.error("duration", (*path, key), "must be longer than 0s")


def check_size(value: int | str, path: Path, least: int, most: int, report: Report) -> None:
    try:
        size = size_in_bytes(value)
    except ValueError as error:
        report.error("size", path, str(error))
        return
    if not least <= size <= most:
        report.error("size", path, f"{value} is out of range: it must be from {least:,} to {most:,} bytes")


def _check_process(config: Config, report: Report) -> None:
    check_durations(
        {"drain_timeout": config.drain_timeout, "upgrade_drain_timeout": config.upgrade_drain_timeout},
        (), (), report,
    )  # fmt: skip
    if config.admin is not None:
        _check_bind_address(config.admin.address, ("admin", "address"), report)
    _check_access_log(config.access_log, report)
    buckets = config.stats.histogram_buckets
    path: Path = ("stats", "histogram_buckets")
    check_durations({str(index): bound for index, bound in enumerate(buckets)}, path, (), report)
    try:
        bounds = [nanoseconds(bound) for bound in buckets]
    except ValueError:
        return
    if sorted(set(bounds)) != bounds or bounds[0] == 0:
        report.error("order", path, "the bounds must rise, from more than 0s")


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
    if not config.listeners:
        report.warning("no-listeners", (), "there are no listeners, so nothing will be served")
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
    if listener.protocol != "http":
        report.error(
            "unsupported", (*path, "protocol"), f"{listener.protocol!r} is not carried yet", "Write `http`."
        )
    if listener.routes is not None and listener.backends:
        report.error("combination", path, "has routes and backends", "Keep one of them.")
    elif listener.routes is None and not listener.backends:
        report.error("missing-key", path, "'routes' is missing: there is nowhere to send requests to")
    if listener.routes is not None and listener.routes not in config.routes:
        report.unknown((*path, "routes"), "are no routes", listener.routes, "routes", config.routes)
    check_backends(listener.backends, (*path, "backends"), config.clusters, report)
    check_durations(
        {"request_head_timeout": listener.request_head_timeout, "idle_timeout": listener.idle_timeout},
        path, ("request_head_timeout",), report,
    )  # fmt: skip
    check_size(listener.max_request_head, (*path, "max_request_head"), LEAST_HEAD, MOST_HEAD, report)
    check_size(listener.max_request_line, (*path, "max_request_line"), 64, MOST_HEAD, report)
    if listener.max_request_body is not None:
        check_size(listener.max_request_body, (*path, "max_request_body"), 0, 1 << 50, report)


def _check_clusters(clusters: Mapping[str, Cluster], report: Report) -> None:
    for name, cluster in clusters.items():
        path: Path = ("clusters", name)
        pool = cluster.connection_pool
        check_durations(
            {"connect_timeout": cluster.connect_timeout, "pending_timeout": cluster.pending_timeout},
            path, ("connect_timeout", "pending_timeout"), report,
        )  # fmt: skip
        check_durations(
            {"idle_timeout": pool.idle_timeout, "max_connection_age": pool.max_connection_age},
            (*path, "connection_pool"), ("idle_timeout", "max_connection_age"), report,
        )  # fmt: skip
        check_size(cluster.max_response_head, (*path, "max_response_head"), LEAST_HEAD, MOST_HEAD, report)
        _check_endpoints(cluster, path, report)


def _check_endpoints(cluster: Cluster, path: Path, report: Report) -> None:
    if not cluster.endpoints:
        report.warning(
            "no-endpoints", path, "has no endpoints: every request to it will be answered with 503"
        )
    seen: dict[str, int] = {}
    for index, endpoint in enumerate(cluster.endpoints):
        try:
            address = str(parse_address(endpoint.address))
        except ValueError as error:
            report.error("address", (*path, "endpoints", index, "address"), str(error))
            continue
        if seen.setdefault(address, index) != index:
            report.error(
                "duplicate", (*path, "endpoints", index, "address"),
                f"endpoints[{seen[address]}] is {address} too", "Give one of them the weight of both.",
            )  # fmt: skip
