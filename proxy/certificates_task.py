"""Files of certificates that have changed, read as a task of its own process. It imports no compiler."""

from typing import Any

import msgspec

from tulle.controlplane.compile_tls import renew
from tulle.controlplane.sealed import sealed_memfd
from tulle.proxy.descriptors import content, memfd


def run(arguments: dict[str, Any], descriptors: list[int]) -> tuple[dict[str, Any], list[int]]:
    """Read the files of certificates again.

    `released` is the serial before which no worker holds anything. Descriptors: names, table, TLS material;
    and of the answer, when something has changed: TLS material, names.
    """
    names, table, material = map(content, descriptors)
    found = renew(table, names, material, arguments["released"])
    answer = {
        "serial": found.serial,
        "lines": list(found.lines),
        "faults": [[fault.code, fault.file, fault.text()] for fault in found.faults],
        "certificates": msgspec.to_builtins(found.secured.uses),
        "stamps": dict(found.secured.stamps),
    }
    if not found.changed:
        return answer, []
    return answer, [sealed_memfd("tulle-tls", found.secured.material), memfd("tulle-names", found.names)]
