"""One admin page, as a task of its own process: libraries and names are loaded there, and gone with it."""

from typing import Any

from tulle._fast.base.stats import Stats
from tulle.proxy.admin.names import read_names, read_table
from tulle.proxy.descriptors import content, memfd


def run(arguments: dict[str, Any], descriptors: list[int]) -> tuple[dict[str, Any], list[int]]:
    """Make a page: `page` is its name, `context` what the master knows.

    Descriptors: shared memory, names, table, endpoints segment.

    The answer has {"value": figures}, or for the metrics {"content_type"} and a descriptor of the text.
    """
    shared, names, table, endpoints = descriptors
    stats = Stats(shared)
    context = arguments["context"]
    if arguments["page"] == "metrics":
        from tulle.proxy.admin.exposition import CONTENT_TYPE, exposition

        text = exposition(
            stats, read_names(names), content(endpoints), context, lambda: read_table(table)
        )
        return {"content_type": CONTENT_TYPE}, [memfd("tulle-page", text)]
    from tulle.proxy.admin.views import Views

    views = Views(stats, read_names(names), read_table(table), content(endpoints), context)
    return {"value": getattr(views, f"{arguments['page']}_page")()}, []
