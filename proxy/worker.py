"""The Python end of a worker: everything is C from `run` on."""

from tulle._fast.base import process
from tulle._fast.flow.worker import run as run_worker


def run(lane: int, descriptors: list[int]) -> int:
    """Serve until drained or told to leave; the exit status. Descriptors as the spawner gives them."""
    process.set_name(b"tulle-worker")
    shared, control, log, *wakes = descriptors
    status: int = run_worker(lane, shared, control, wakes, log)
    return status
