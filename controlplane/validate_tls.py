"""The checks of TLS: that the files are there, are whole and fit, and that names are names.

The files are read as `identity.files` does it. That needs the `cryptography` package and memory, so it is
imported only for a configuration that has TLS.
"""

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

from tulle.controlplane.findings import Report
from tulle.controlplane.model_tls import ALPN_OF, ClusterTls, ServerTls
from tulle.controlplane.problems import Path
from tulle.controlplane.validate_values import check_durations

if TYPE_CHECKING:
    from tulle.controlplane.identity.facts import FileProblem

SUITES_13 = (
    "TLS_AES_128_GCM_SHA256",
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
    "TLS_AES_128_CCM_SHA256",
    "TLS_AES_128_CCM_8_SHA256",
)
AUTHENTICATED = ("GCM", "CHACHA20", "CCM")  # in the names of those suites of TLS 1.2 that HTTP/2 allows


def check_server_tls(tls: ServerTls, protocol: str, path: Path, report: Report) -> None:
    """`protocol` is the one of the listener."""
    _check_pair(tls.certificate, tls.key, path, report, "server")
    for index, further in enumerate(tls.certificates):
        its_path: Path = (*path, "certificates", index)
        _check_pair(further.certificate, further.key, its_path, report, "server")
        for position, name in enumerate(further.hostnames):
            _check_host(name, (*its_path, "hostnames", position), report, wildcard=True)
    if tls.client_ca is not None:
        _check_bundle(tls.client_ca, (*path, "client_ca"), report)
    elif tls.require_client_certificate:
        report.error(
            "combination", (*path, "require_client_certificate"), "there is nothing to verify clients by",
            "Give the file of the CA certificates as client_ca.",
        )  # fmt: skip
    _check_rules(tls.min_version, tls.ciphers, () if protocol == "tcp" else tls.alpn, path, report)
    check_durations({"handshake_timeout": tls.handshake_timeout}, path, ("handshake_timeout",), report)


def check_cluster_tls(tls: ClusterTls, protocol: str, path: Path, report: Report) -> None:
    """`protocol` is the one of the cluster."""
    _check_bundle(tls.ca, (*path, "ca"), report)
    if tls.certificate is not None and tls.key is not None:
        _check_pair(tls.certificate, tls.key, path, report, "client")
    elif tls.certificate is not None or tls.key is not None:
        missing = "key" if tls.key is None else "certificate"
        report.error("combination", path, f"{missing!r} is missing: a certificate and its key go together")
    if tls.sni is not None:
        _check_host(tls.sni, (*path, "sni"), report, wildcard=False)
    for position, name in enumerate(tls.verify.dns):
        _check_host(name, (*path, "verify", "dns", position), report, wildcard=False)
    for position, uri in enumerate(tls.verify.uri):
        if "://" not in uri:
            report.error(
                "uri", (*path, "verify", "uri", position), f"{uri!r} is no URI",
                "For example spiffe://example.org/ns/shop/sa/cart.",
            )  # fmt: skip
    if tls.sni is None and not tls.verify.dns and not tls.verify.uri:
        report.error(
            "missing-key", path, "'verify' is missing: any certificate of the CA would do, whoever has it",
            "Say whose it must be: verify: {uri: [...]} or {dns: [...]}, or sni for one host name.",
        )  # fmt: skip
    spoken = ALPN_OF[protocol]
    if tls.alpn is not None and set(tls.alpn) != set(spoken):
        report.error(
            "contradiction", (*path, "alpn"), f"is not what protocol {protocol} speaks",
            f"Leave it out, or write [{', '.join(spoken)}].",
        )  # fmt: skip
    _check_rules(tls.min_version, tls.ciphers, spoken, path, report)


def _check_rules(
    min_version: str, ciphers: list[str], alpn: Iterable[str], path: Path, report: Report
) -> None:
    for position, name in enumerate(ciphers):
        its_path = (*path, "ciphers", position)
        if name.startswith("TLS_") and name not in SUITES_13:
            report.error(
                "cipher", its_path, f"{name} is no cipher suite of TLS 1.3", f"Known: {', '.join(SUITES_13)}."
            )
        elif not name.startswith("TLS_") and not name.startswith(("ECDHE-", "DHE-")):
            report.error(
                "cipher", its_path, f"{name} does not have forward secrecy, or is not how OpenSSL calls it",
                "For example ECDHE-ECDSA-AES128-GCM-SHA256.",
            )  # fmt: skip
        elif not name.startswith("TLS_") and min_version == "1.3":
            report.warning("never", its_path, f"{name} is of TLS 1.2, which min_version rules out")
        elif not name.startswith("TLS_") and "h2" in alpn and not any(kind in name for kind in AUTHENTICATED):
            report.error(
                "cipher", its_path, f"{name} must not be used with HTTP/2 (RFC 9113 section 9.2.2)",
                "Leave it out, or HTTP/2: alpn: [http/1.1], or with endpoints protocol: http1.",
            )  # fmt: skip


def _check_host(name: str, path: Path, report: Report, wildcard: bool) -> None:
    labels = name.removeprefix("*.").split(".") if wildcard else name.split(".")
    if not all(
        label and label.replace("-", "a").replace("_", "a").isalnum() and label.isascii() for label in labels
    ):
        hint = "For example shop.example.com" + (" or *.example.com." if wildcard else ".")
        report.error("hostname", path, f"{name!r} is no host name", hint)


def _check_pair(
    certificate: str, key: str, path: Path, report: Report, purpose: Literal["server", "client"]
) -> None:
    from tulle.controlplane.identity.files import read_pair

    pair = read_pair(certificate, key, time.time(), purpose)
    _tell(pair.problems, path, {certificate: "certificate", key: "key"}, report)


def _check_bundle(file: str, path: Path, report: Report) -> None:
    from tulle.controlplane.identity.files import read_bundle

    _tell(read_bundle(file, time.time()).problems, path[:-1], {file: str(path[-1])}, report)


def _tell(problems: "Iterable[FileProblem]", path: Path, keys: dict[str, str], report: Report) -> None:
    for problem in problems:
        its_path = (*path, keys[problem.file]) if problem.file in keys else path
        tell = report.warning if problem.is_warning else report.error
        tell(problem.code, its_path, f"{problem.file}: {problem.message}", problem.hint)
