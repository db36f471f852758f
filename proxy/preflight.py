"""Whether this program could take over from one that runs, which asks by `python -m tulle.proxy.preflight`.

Standard input has the words of a handover and the source of the configuration; nothing is taken over.
Standard output gets a reason a line, or nothing when all is well. The exit status is 0 or 1; or OTHER_LAYOUT
when it could, but lays out shared memory in another way and so needs its own.
"""

import json
import os
import sys
from typing import Any

from tulle._fast.base import stats
from tulle.proxy import compile_task, handover
from tulle.proxy.configuration import Settings
from tulle.proxy.upgrade import OTHER_LAYOUT


def main() -> int:
    asked = json.load(sys.stdin)
    reasons = find_reasons(asked["handover"], asked["source"], asked["workers"])
    for reason in reasons:
        print(reason)
    if reasons:
        return 1
    return 0 if asked["handover"]["layout"] == stats.LAYOUT else OTHER_LAYOUT


def find_reasons(words: handover.Words, source: dict[str, Any], workers: int | None) -> list[str]:
    """Why it could not; empty when it could."""
    if words["format"] != handover.FORMAT:
        return ["the new program hands over in another way; restart the proxy instead"]
    try:
        Settings.read(words["configuration"]["settings"], workers)
    except (KeyError, TypeError) as error:
        return [
            f"the new program does not understand the settings in use ({error}); restart the proxy instead"
        ]
    arguments = {"source": source, "version": 1, "resolved": {}, "released": 0}
    result, made = compile_task.run(arguments, [])
    for descriptor in made:
        os.close(descriptor)
    return list(result["errors"])


if __name__ == "__main__":
    raise SystemExit(main())
