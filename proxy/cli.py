"""The `tulle` command. Light: a command imports what it needs when it runs."""

import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit status: 0 done, 1 refused or failed, 2 wrong usage."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words[:1] != ["proxy"] or {"-h", "--help"} & set(words):
        from tulle.proxy import commands

        return commands.run(words)
    from tulle.proxy import spawner

    handle = spawner.start()  # before the rest is imported: what is in memory now, every worker has
    try:
        from tulle.proxy import start

        return start.run(handle, words)
    except KeyboardInterrupt:
        return 130
    finally:
        handle.end()
