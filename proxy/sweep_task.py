"""Forgetting names that have gone, as a task of its own process."""

import time
from typing import Any

from tulle.controlplane.names import decode_names, encode_names, live_numbers
from tulle.controlplane.sealed import sealed_memfd
from tulle.proxy.descriptors import content, memfd


def run(arguments: dict[str, Any], descriptors: list[int]) -> tuple[dict[str, Any], list[int]]:
    """Forget what is not shown any more. `released` is the serial before which no worker holds anything.

    Descriptor: names; and of the answer: the numbers that live, names. `forget_at` is when there may be more
    to forget, in monotonic seconds; 0: nothing has gone.
    """
    names = decode_names(content(descriptors[0]))
    names.release(arguments["released"], time.monotonic())
    names.unswept = False
    return {"forget_at": names.next_sweep()}, [
        sealed_memfd("tulle-live", live_numbers(names)),
        memfd("tulle-names", encode_names(names)),
    ]
