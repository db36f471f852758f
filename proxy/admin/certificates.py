"""Certificates in use, for people. Made of what is no secret, by the master: it imports next to nothing."""

import time
from collections.abc import Iterable
from typing import Any

DAY = 86400.0
Use = dict[str, Any]  # a `CertificateUse` as builtins


def certificates_view(uses: Iterable[Use], now: float) -> list[dict[str, Any]]:
    """Each file with its certificates in their order. `now` is seconds since 1970."""
    return [
        {
            "file": use["file"],
            "role": use["role"],
            "listeners": list(use["listeners"]),
            "clusters": list(use["clusters"]),
            "certificates": [_certificate(facts, now) for facts in use["certificates"]],
        }
        for use in uses
    ]


def _certificate(facts: dict[str, Any], now: float) -> dict[str, Any]:
    return {
        "subject": facts["subject"],
        "names": list(facts["names"]),
        "issuer": facts["issuer"],
        "serial": facts["serial"],
        "not_before": _moment(facts["not_before"]),
        "not_after": _moment(facts["not_after"]),
        "days_left": round((facts["not_after"] - now) / DAY, 2),
        "key": facts["key"],
        "sha256": facts["fingerprint"],
    }


def _moment(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
