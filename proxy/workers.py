"""The workers: one lane of shared memory each, begun again when they die, drained when they are too many."""

import enum
import os
import signal
import socket
import time
from collections import deque
from collections.abc import Callable, Collection
from contextlib import suppress

from tulle.proxy import spawner
from tulle.proxy.children import Child, Children, how_it_ended
from tulle.proxy.configuration import Configuration
from tulle.proxy.keepers import Keeper, Keepers
from tulle.proxy.loop import Future, Timer, current
from tulle.proxy.messages import warn
from tulle.proxy.protocol import LAYOUT, Control, ControlMessage
from tulle.proxy.shared import Shared
from tulle.proxy.waiting import Timeout

FIRST_PAUSE = 0.1  # seconds before a worker that died young is begun again; doubled each time
LONGEST_PAUSE = 30.0
HEALTHY_AGE = 10.0  # seconds after which a worker's death counts as the first
GRACE = 2.0  # seconds after the deadline of a drain until a worker is killed


class State(enum.Enum):
    STARTING = "starting"
    READY = "ready"
    DRAINING = "draining"
    ENDED = "ended"


class Worker:
    """One worker process, as the master sees it."""

    def __init__(self, lane: int, control: socket.socket, keeper: Keeper | None = None) -> None:
        self.lane = lane
        self.control = control
        self.keeper = keeper  # of the memory that its lane is in; None when that is ours
        self.child: Child | None = None
        self.state = State.STARTING
        self.began = time.monotonic()
        self.installed = (0, 0)  # version and serial that new requests use
        self.oldest = (0, 0)  # version and serial of the oldest that any request uses
        self.refused = (0, 0)
        self.unlistened: set[int] = set()  # listeners that it has left, with all who had come
        self.outgoing = False  # to be replaced, and at work until its successor is ready
        self.killing: Timer | None = None
        self.unsent: deque[tuple[bytes, list[int]]] = deque()

    @property
    def pid(self) -> int:
        return self.child.pid if self.child else 0

    @property
    def serving(self) -> bool:
        """Whether it is, or soon will be, at work."""
        return self.state in (State.STARTING, State.READY) and not self.outgoing

    def tell(self, message: ControlMessage, descriptors: list[int] | None = None) -> None:
        """Send in order, now or when the worker has read what came before."""
        if self.state is State.ENDED:
            return
        if not self.unsent:
            try:
                spawner.send(self.control, message.pack(), descriptors or [])
                return
            except BlockingIOError:
                current().add_writer(self.control.fileno(), self._send_rest)
            except OSError:
                return  # it has ended, and the spawner will say so
        self.unsent.append((message.pack(), [os.dup(descriptor) for descriptor in descriptors or []]))

    def drain(self, seconds: float, notice: float | None = None) -> None:
        """Finish and leave, in so many seconds at most; it is killed soon after.

        WebSockets are told to go at once, or with so many seconds of `notice` before the end.
        """
        self.state = State.DRAINING
        now = time.monotonic_ns()
        farewell = now + round(max(0.0, seconds - (seconds if notice is None else notice)) * 1e9)
        self.tell(ControlMessage(Control.DRAIN, version=farewell, value=now + round(seconds * 1e9)))
        if self.killing is None:
            self.killing = current().call_later(seconds + GRACE, self.kill)

    def quit(self) -> None:
        """Leave at once."""
        self.state = State.DRAINING
        self.tell(ControlMessage(Control.QUIT))

    def kill(self) -> None:
        if self.pid and self.state is not State.ENDED:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)

    def _send_rest(self) -> None:
        while self.unsent:
            data, descriptors = self.unsent[0]
            try:
                spawner.send(self.control, data, descriptors)
            except BlockingIOError:
                return
            except OSError:
                pass
            self._drop_first()
        current().remove_writer(self.control.fileno())

    def _drop_first(self) -> None:
        for descriptor in self.unsent.popleft()[1]:
            os.close(descriptor)

    def close(self) -> None:
        """After its end."""
        self.state = State.ENDED
        if self.killing is not None:
            self.killing.cancel()
        loop = current()
        if self.control.fileno() >= 0:
            loop.remove_reader(self.control.fileno())
            loop.remove_writer(self.control.fileno())
        self.control.close()
        while self.unsent:
            self._drop_first()


class Workers:
    """All workers. `configuration` must be set before the first is begun."""

    def __init__(self, children: Children, shared: Shared) -> None:
        self.children = children
        self.shared = shared
        self.stats = shared.stats
        self.keepers = Keepers(children, shared.stats)
        self.configuration: Configuration | None = None
        self.live = -1  # the numbers that live, as the last sweep was told them; -1: there was none
        self.door: socket.socket | None = None  # where tokens are verified, see `tokens.companion`
        self.wanted = 0
        self.running: list[Worker] = []  # those that draw breath, draining ones too
        self.restarts = 0
        self.pause = 0.0
        self.respawns: set[Timer] = set()
        self.deadline: float | None = None
        self.watchers: list[Future[None]] = []
        self.on_release: Callable[[], None] = lambda: None

    # -- how many -----------------------------------------------------------------------------------------

    def set_count(self, count: int, drain_seconds: float) -> None:
        """Begin workers, or drain some for so many seconds at most, until `count` are meant to run."""
        self.wanted = count
        self.stats.set_workers(count)
        serving = self.serving()
        for worker in serving[count:]:
            worker.drain(drain_seconds)
        for _ in range(count - len(serving) - len(self.respawns)):
            self._begin()

    def serving(self) -> list[Worker]:
        return [worker for worker in self.running if worker.serving]

    def drain(self, seconds: float) -> None:
        """All finish what they have and leave, at the latest in so many seconds."""
        self.wanted = 0
        self._forget_respawns()
        self.stats.set_draining(True)
        for worker in self.running:
            worker.drain(seconds)
        self._changed()

    def quit(self) -> None:
        """All leave at once."""
        self.wanted = 0
        self._forget_respawns()
        for worker in self.running:
            worker.quit()

    def kill(self) -> None:
        """End all that are left."""
        for worker in self.running:
            worker.kill()

    def _forget_respawns(self) -> None:
        for timer in self.respawns:
            timer.cancel()
        self.respawns.clear()

    # -- their lives --------------------------------------------------------------------------------------

    def _begin(self) -> None:
        lane = self._free_lane()
        if lane is None:
            warn(f"all {self.stats.lane_capacity} lanes of shared memory are in use: no more workers begin")
            return
        self.stats.use_lane(lane)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        worker = Worker(lane, ours)
        self.running.append(worker)
        current().add_reader(ours.fileno(), self._hear, worker)
        with theirs:
            worker.child = self.children.fork_worker(
                lane,
                self.shared.descriptors(theirs.fileno()),
                lambda status: self._ended(worker, status),
            )
        if self.door:
            worker.tell(ControlMessage(Control.DOOR), [self.door.fileno()])
        if self.configuration:
            worker.tell(*self.configuration.installation())
            for identity, listening in self.configuration.sockets.items():
                worker.tell(ControlMessage(Control.LISTEN, identity), [listening.fileno()])
        if self.live >= 0:  # a former owner of the lane may have left figures of what has gone
            worker.tell(ControlMessage(Control.SWEEP), [self.live])

    def adopt(self, worker: Worker, pid: int) -> None:
        """Take over a worker that another program has begun, whose parent we are or soon will be."""
        if worker.keeper is None:
            self.stats.use_lane(worker.lane)
        self.running.append(worker)
        worker.child = self.children.adopt(pid, lambda status: self._ended(worker, status))
        current().add_reader(worker.control.fileno(), self._hear, worker)

    async def renew(self, count: int, seconds: float, drain_seconds: float, notice: float) -> bool:
        """Replace all that serve by `count` new ones; whether these were ready in so many seconds.

        The old ones serve until then and have `drain_seconds` for what they hold after, the last of them the
        `notice` of WebSockets; if the new ones fail, the old ones go on.
        """
        outgoing = self.serving()
        for worker in outgoing:
            worker.outgoing = True
        self.set_count(count, drain_seconds)
        with suppress(TimeoutError):
            async with Timeout(seconds):
                await self.until(self.ready)
        if not self.ready():
            for worker in self.serving():
                worker.quit()
            self._forget_respawns()
            for worker in outgoing:
                worker.outgoing = False
            return False
        for worker in outgoing:
            worker.drain(drain_seconds, notice)
        return True

    def _free_lane(self) -> int | None:
        taken = {worker.lane for worker in self.running if worker.keeper is None} | self.keepers.lanes()
        return next((lane for lane in range(self.stats.lane_capacity) if lane not in taken), None)

    def _ended(self, worker: Worker, status: int) -> None:
        unexpected = worker.state is not State.DRAINING and not worker.outgoing
        worker.close()
        self.running.remove(worker)
        self._release(worker)
        if unexpected and self.wanted:
            self._replace(worker, status)
        self._changed()
        self.on_release()

    def _release(self, worker: Worker) -> None:
        """What it held is free for who waits."""
        keeper = worker.keeper
        if keeper is None:
            self.stats.clear_lane(worker.lane)
            self.shared.wake(other.lane for other in self.running if other.keeper is None)
            return
        keeper.tell(f"ended {worker.lane}")
        if not any(other.keeper is keeper for other in self.running):
            self.keepers.part(keeper)

    def _replace(self, worker: Worker, status: int) -> None:
        self.restarts += 1
        if time.monotonic() - worker.began >= HEALTHY_AGE:
            self.pause = 0.0
        pause = self.pause
        self.pause = min(max(FIRST_PAUSE, pause * 2), LONGEST_PAUSE)
        again = f"another begins in {pause:.1f} s" if pause else "another begins"
        warn(f"worker {worker.pid} (lane {worker.lane}) {how_it_ended(status)}; {again}")

        def begin() -> None:
            self.respawns.discard(timer)
            self._begin()

        timer = current().call_later(pause, begin)
        self.respawns.add(timer)

    def _hear(self, worker: Worker) -> None:
        try:
            data = worker.control.recv(LAYOUT.size)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if len(data) != LAYOUT.size:
            current().remove_reader(worker.control.fileno())
            return
        message = ControlMessage.unpack(data)
        match message.type:
            case Control.READY:
                if worker.child and not worker.child.pid:
                    worker.child.pid = message.value  # the spawner will say the same, a moment later
                if worker.state is State.STARTING:
                    worker.state = State.READY
            case Control.INSTALLED:
                worker.installed = (message.version, message.value)
            case Control.RELEASED:
                worker.oldest = (message.version, message.value)
                self.on_release()
            case Control.REFUSED:
                worker.refused = (message.version, message.value)
            case Control.UNLISTENED:
                worker.unlistened.add(message.id)
            case _:
                pass
        self._changed()

    def open_door(self, door: socket.socket) -> None:
        """Have all workers, and those that come, ask there about tokens."""
        self.door = door
        self.tell(ControlMessage(Control.DOOR), [door.fileno()])

    def sweep(self, live: int) -> None:
        """Have workers free what is counted under other numbers than these, a descriptor that is ours now."""
        if self.live >= 0:
            os.close(self.live)
        self.live = live
        for worker in self.serving():
            if worker.keeper is None:
                worker.tell(ControlMessage(Control.SWEEP), [live])

    # -- all together -------------------------------------------------------------------------------------

    def tell(self, message: ControlMessage, descriptors: list[int] | None = None) -> None:
        """Tell all that serve."""
        for worker in self.serving():
            worker.tell(message, descriptors)

    def unlisten(self, identities: Collection[int]) -> None:
        """Have all that serve leave these listeners; `have_left` says when they have."""
        for worker in self.serving():
            worker.unlistened.difference_update(identities)
            for identity in identities:
                worker.tell(ControlMessage(Control.UNLISTEN, identity))

    def have_left(self, identities: Collection[int]) -> bool:
        """Whether nobody comes in there any more; who had waited in the queues is in."""
        return all(worker.unlistened.issuperset(identities) for worker in self.serving())

    def _changed(self) -> None:
        for watcher in self.watchers:
            watcher.set_result(None)
        self.watchers.clear()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for something that a worker's message or end brings about."""
        while not condition():
            watcher: Future[None] = Future()
            self.watchers.append(watcher)
            await watcher

    def ready(self) -> bool:
        """Whether as many as wanted accept connections."""
        return sum(worker.state is State.READY for worker in self.serving()) >= self.wanted > 0
