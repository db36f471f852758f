"""What `tulle check` says of the certificates of a configuration that can be used: until when they are valid.

Needs the `cryptography` package; import it when there are any.
"""

import time
from collections.abc import Iterator

from tulle.controlplane.compile_tls import secure
from tulle.controlplane.identity.facts import CertificateFacts, span
from tulle.controlplane.identity.inspect import moment
from tulle.controlplane.table import RoutingTable


def certificate_lines(table: RoutingTable) -> Iterator[str]:
    """A line for each file: of a chain the certificate that expires first, of a bundle the last."""
    now = time.time()
    for use in secure(table).uses:
        first = use.role == "certificate"
        facts = (min if first else max)(use.certificates, key=_end)
        owners = [f"listener {name}" for name in use.listeners] + [f"cluster {name}" for name in use.clusters]
        what = facts.title if first else f"CAs, the last of them {facts.subject}"
        yield (
            f"{use.file}: {what}, until {moment(facts.not_after)}, {span(facts.not_after - now)} left;"
            f" for {', '.join(owners)}"
        )


def _end(facts: CertificateFacts) -> float:
    return facts.not_after
