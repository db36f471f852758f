"""The page `/drain_listeners`: at once of all, or of some, and told when those have nothing more to do."""

from tulle.proxy.admin.server import Answer, Request
from tulle.proxy.administration import Administration
from tulle.proxy.waiting import Timeout, sleep

LONGEST_WAIT = 3600.0  # seconds
INTERVAL = 0.02  # seconds between two looks


async def drain(request: Request, administration: Administration) -> Answer:
    """`?keep=` names listeners that go on, `out*` all that begin so; `?wait=` seconds for the others' end."""
    text = request.query.get("wait", "0")
    try:
        left = float(text)
    except ValueError:
        left = -1.0
    if not 0 <= left <= LONGEST_WAIT:
        return Answer(400, f"wait may be 0 to {LONGEST_WAIT:g} seconds\n".encode())
    reloader = administration.reloader
    wanted = [name for name in request.query.get("keep", "").split(",") if name]
    names = [listener.name for listener in reloader.current.settings.listeners]
    kept = {name for name in names if any(_fits(name, pattern) for pattern in wanted)}
    stopped = administration.drain_listeners(kept)
    try:
        async with Timeout(left):
            # First who waits in the queues of the sockets: no count has them yet
            await administration.workers.until(lambda: administration.workers.have_left(stopped))
            while reloader.connections(stopped):
                await sleep(INTERVAL)
    except TimeoutError:
        count = reloader.connections(stopped)
        return Answer(200, f"draining the listeners; they have {count} connections\n".encode())
    return Answer(200, b"drained\n")


def _fits(name: str, pattern: str) -> bool:
    return name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern
