"""Answers of a control plane as lines for people."""

from collections.abc import Iterator
from typing import Any

SHORT = 12  # characters of a version


def of_kind(kind: str, found: list[dict[str, Any]]) -> list[str]:
    rows: list[tuple[str, ...]]
    if kind == "sidecars":
        rows = [("IDENTITY", "NODE", "VERSION", "STATE", "CERTIFICATE", "LAST ERROR")]
        rows += [
            (
                one["identity"],
                one["node"],
                one["version"][:SHORT] or "-",
                one["state"],
                span(one["certificate_left"]),
                one["error"] or "-",
            )
            for one in found
        ]
    elif kind == "services":
        rows = [("SERVICE", "IDENTITY", "MTLS", "ENDPOINTS")]
        rows += [
            (one["name"], one["identity"] or "-", one["mtls"], ", ".join(one["endpoints"]) or "-")
            for one in found
        ]
    elif kind == "routes":
        rows = [("SERVICE", "ROUTE", "BACKENDS")]
        rows += [
            (one["service"], str(route.get("name", index)), backends(route))
            for one in found
            for index, route in enumerate(one["routes"])
        ]
    else:
        rows = [("POLICY", "ACTION", "SERVICES", "RULES")]
        rows += [
            (
                one["name"],
                one.get("action", "allow") + " (dry run)" * one.get("dry_run", False),
                ", ".join(one.get("services", ())) or "all",
                str(len(one.get("rules", ()))),
            )
            for one in found
        ]
    return in_columns(rows)


def backends(route: dict[str, Any]) -> str:
    found = [f"{one['cluster']} {one.get('weight', 1)}" for one in route.get("backends", ())]
    return ", ".join(found) or ("redirect" if "redirect" in route else "response")


def differences(found: list[dict[str, Any]]) -> Iterator[str]:
    if not found:
        yield "nothing would change"
    for one in found:
        count = one["sidecars"]
        yield f"{one['identity']} ({count} sidecar{'s' * (count != 1)})"
        for sign, keys in (("~", one["changed"]), ("-", one["removed"])):
            for kind, name in keys:
                yield f"  {sign} {kind} {name}".rstrip()


def in_columns(rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]


def span(seconds: float) -> str:
    """How long a certificate lives."""
    if seconds <= 0:
        return "expired"
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f}{unit}"
    return f"{seconds:.0f}s"
