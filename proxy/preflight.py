"""Whether this program could take over from one that runs, which asks by `python -m tulle.proxy.preflight`.

Standard input has the words of a handover and the source of the configuration; nothing is taken over.
Standard output gets a reason a line, or nothing when all is well; the exit status is 0 or 1.
"""

import json
import os
import sys
from typing import Any

from tulle._fast.base.stats import Stats
from tulle.proxy import compile_task, handover
from tulle.proxy.configuration import Settings


def main() -> int:
    asked = json.load(sys.stdin)
    reasons = find_reasons(asked["handover"], asked["source"], asked["workers"])
    for reason in reasons:
        print(reason)
    return 1 if reasons else 0


def find_reasons(words: handover.Words, source: dict[str, Any], workers: int | None) -> list[str]:
    """Why it could not; empty when it could. The shared memory is inherited under its number in the words."""
    if words["format"] != handover.FORMAT:
        return ["the new program hands over in another way; restart the proxy instead"]
    try:
        Stats(words["shared"])
    except ValueError:
        return ["the new program lays out shared memory in another way; restart the proxy instead"]
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
