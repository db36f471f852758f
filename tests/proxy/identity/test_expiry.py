"""What expires is said once in time, and once when it has."""

import subprocess
import sys
from typing import Any

import msgspec

from tests.controlplane.identity.making import DAY, NOW, make
from tests.proxy.running import ROOT
from tulle.controlplane.identity.facts import CertificateUse
from tulle.controlplane.identity.inspect import facts_of
from tulle.proxy.identity.expiry import Expiry


def use(*ends: float, role: str = "certificate", file: str = "web.pem") -> dict[str, Any]:
    """Certificates that end so many seconds after now and live ninety days."""
    facts = tuple(
        facts_of(make("web", begins=NOW + end - 90 * DAY, ends=NOW + end).certificate) for end in ends
    )
    found = CertificateUse(role=role, file=file, listeners=("web",), clusters=(), certificates=facts)  # type: ignore[arg-type]
    return msgspec.to_builtins(found)  # type: ignore[no-any-return]


def test_nothing_is_said_in_good_time() -> None:
    assert Expiry().lines([use(31 * DAY), use(89 * DAY)], NOW) == []


def test_each_thing_is_said_once() -> None:
    expiry, uses = Expiry(), [use(3 * DAY)]
    assert expiry.lines(uses, NOW) == [
        (False, "web.pem: CN=web expires in 3 days; put a new certificate in place, it is taken by itself")
    ]
    assert expiry.lines(uses, NOW + DAY) == []
    ((has_expired, line),) = expiry.lines(uses, NOW + 3 * DAY)
    assert has_expired
    assert "has expired" in line
    assert expiry.lines(uses, NOW + 4 * DAY) == []


def test_a_new_certificate_is_looked_at_anew() -> None:
    expiry = Expiry()
    assert len(expiry.lines([use(DAY)], NOW)) == 1
    assert len(expiry.lines([use(2 * 3600)], NOW)) == 1


def test_of_a_chain_the_first_counts_and_of_a_bundle_the_last() -> None:
    assert len(Expiry().lines([use(60 * DAY, DAY)], NOW)) == 1
    assert Expiry().lines([use(-DAY, 60 * DAY, role="ca")], NOW) == []
    assert len(Expiry().lines([use(-DAY, DAY, role="ca")], NOW)) == 1


def test_what_is_not_in_use_any_more_is_forgotten() -> None:
    expiry = Expiry()
    for number in range(20):
        expiry.lines([use(DAY)], NOW + number)
    assert len(expiry.told) == 1


def test_the_page_is_made_without_libraries() -> None:
    """The master makes it, whose memory is there for good."""
    program = """
import sys
import tulle.proxy.admin.certificates, tulle.proxy.identity.companion, tulle.proxy.identity.watch
print(*set(sys.modules) & {"prometheus_client", "msgspec", "cryptography", "asyncio"})
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "\n"
