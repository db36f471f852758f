"""The master's event loop, and what coroutines wait with."""

import gc
import os
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tulle.proxy import loop
from tulle.proxy.loop import Cancelled, Future, Task, current, spawn
from tulle.proxy.streams import Server, Stream, readable, writable
from tulle.proxy.waiting import Queue, Timeout, Turns, first, sleep

LONG = 30.0


@pytest.fixture(autouse=True)
def nothing_stays_open() -> Iterator[None]:
    gc.collect()  # what tests of other files left to the collector is not closed in the middle of one here
    before = sorted(Path("/proc/self/fd").iterdir())
    yield
    assert sorted(Path("/proc/self/fd").iterdir()) == before


async def give(value: int) -> int:
    return value


async def fail() -> None:
    raise LookupError("as it should")


def test_a_coroutine_gives_its_result_or_error() -> None:
    assert loop.run(give(7)) == 7
    with pytest.raises(LookupError):
        loop.run(fail())
    with pytest.raises(RuntimeError, match="no loop runs"):
        current()


def test_tasks_run_side_by_side_in_turn() -> None:
    seen: list[str] = []

    async def count(name: str) -> None:
        for number in range(3):
            seen.append(f"{name}{number}")
            await sleep(0)

    async def scenario() -> None:
        tasks = [spawn(count("a")), spawn(count("b"))]
        for task in tasks:
            await task

    loop.run(scenario())
    assert seen == ["a0", "b0", "a1", "b1", "a2", "b2"]


def test_an_error_of_a_task_is_for_who_awaits_it() -> None:
    async def scenario() -> None:
        task = spawn(fail())
        with pytest.raises(LookupError):
            await task

    loop.run(scenario())


def test_an_error_that_nobody_awaits_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    async def scenario() -> None:
        spawn(fail())
        await sleep(0)
        await sleep(0)

    loop.run(scenario())
    gc.collect()
    assert "LookupError: as it should" in capsys.readouterr().err


def test_timers_come_in_the_order_of_their_time_unless_cancelled() -> None:
    seen: list[int] = []

    async def scenario() -> None:
        timers = [current().call_later(0.003 - number / 1000, seen.append, number) for number in range(3)]
        timers[1].cancel()
        while len(seen) < 2:
            await sleep(0)

    loop.run(scenario())
    assert seen == [2, 0]


def test_who_is_cancelled_stops_and_what_it_waited_for_goes_on() -> None:
    seen: list[str] = []
    go: Future[str] = Future()

    async def wait(name: str) -> None:
        try:
            seen.append(f"{name} {await go}")
        except Cancelled:
            seen.append(f"{name} cancelled")
            raise

    async def scenario() -> None:
        one, two = spawn(wait("one")), spawn(wait("two"))
        await sleep(0)
        one.cancel()
        one.cancel()
        with pytest.raises(Cancelled):
            await one
        go.set_result("went")
        await two
        two.cancel()

    loop.run(scenario())
    assert seen == ["one cancelled", "two went"]


def test_a_task_that_is_cancelled_as_its_future_is_done_is_stepped_once() -> None:
    steps: list[str] = []

    async def wait(go: Future[None]) -> None:
        try:
            await go
            steps.append("went")
        except Cancelled:
            steps.append("cancelled")
        await sleep(0)
        steps.append("after")

    async def scenario() -> None:
        go: Future[None] = Future()
        task = spawn(wait(go))
        await sleep(0)
        go.set_result(None)
        task.cancel()
        await task

    loop.run(scenario())
    assert steps == ["cancelled", "after"]


def test_a_time_limit_ends_what_takes_too_long() -> None:
    async def scenario() -> None:
        with pytest.raises(TimeoutError):
            async with Timeout(0.001):
                await sleep(LONG)
        async with Timeout(LONG):
            await sleep(0)
        async with Timeout(None):
            await sleep(0)
        with pytest.raises(LookupError):
            async with Timeout(LONG):
                await fail()

    loop.run(scenario())


def test_a_cancelled_task_is_no_time_out() -> None:
    async def limited() -> None:
        async with Timeout(LONG):
            await sleep(LONG)

    async def scenario() -> None:
        task = spawn(limited())
        await sleep(0)
        task.cancel()
        with pytest.raises(Cancelled):
            await task

    loop.run(scenario())


def test_the_first_of_several_is_enough() -> None:
    async def scenario() -> None:
        never: Future[None] = Future()
        task = spawn(give(3))
        await first(never, task)
        assert task.done()
        await first(never, task)  # also one that is done already

    loop.run(scenario())


def test_turns_are_taken_in_order_and_given_back() -> None:
    seen: list[int] = []

    async def work(turns: Turns, number: int) -> None:
        async with turns:
            seen.append(number)
            await sleep(0)
            seen.append(-number)

    async def scenario() -> None:
        turns = Turns(1)
        tasks = [spawn(work(turns, number)) for number in (1, 2, 3, 4)]
        await sleep(0)
        tasks[1].cancel()  # waits for its turn
        tasks[0].cancel()  # has it
        for task in tasks[2:]:
            await task
        assert turns.free == 1

    loop.run(scenario())
    assert seen == [1, 3, -3, 4, -4]


def test_a_turn_that_comes_to_who_is_cancelled_goes_to_the_next() -> None:
    async def hold(turns: Turns, go: Future[None]) -> None:
        async with turns:
            await go

    async def scenario() -> None:
        turns = Turns(1)
        go: Future[None] = Future()
        holder, waiter, last = (spawn(hold(turns, go)) for _ in range(3))
        await sleep(0)
        go.set_result(None)
        while not holder.done():
            await sleep(0)
        waiter.cancel()
        await first(last)
        assert turns.free == 1

    loop.run(scenario())


def test_a_queue_keeps_its_order() -> None:
    async def scenario() -> None:
        queue: Queue[int] = Queue()
        getter = spawn(queue.get())
        await sleep(0)
        for number in (1, 2, 3):
            queue.put(number)
        assert [await getter, await queue.get(), await queue.get()] == [1, 2, 3]

    loop.run(scenario())


def test_signals_are_heard_and_left_alone_afterwards() -> None:
    async def scenario() -> None:
        heard: Queue[int] = Queue()
        current().on_signal(signal.SIGUSR1, heard.put, signal.SIGUSR1)
        os.kill(os.getpid(), signal.SIGUSR1)
        async with Timeout(LONG):
            assert await heard.get() == signal.SIGUSR1

    loop.run(scenario())
    assert signal.getsignal(signal.SIGUSR1) is signal.SIG_DFL


def test_a_thread_may_call() -> None:
    async def scenario() -> None:
        done: Future[int] = Future()
        thread = threading.Thread(target=current().call_threadsafe, args=(done.set_result, 5))
        thread.start()
        async with Timeout(LONG):
            assert await done == 5
        thread.join()

    loop.run(scenario())


def test_descriptors_are_watched_each_way_by_itself() -> None:
    one, two = socket.socketpair()

    async def scenario() -> None:
        async with Timeout(LONG):
            await writable(one.fileno())
            waiting = spawn(readable(one.fileno()))
            await writable(one.fileno())
            assert not waiting.done()
            two.send(b"x")
            await waiting

    with one, two:
        one.setblocking(False)
        loop.run(scenario())


def test_a_callback_that_stops_watching_is_not_called_again_in_the_same_turn() -> None:
    pairs = [socket.socketpair() for _ in range(2)]
    seen: list[int] = []

    def heard(number: int) -> None:
        seen.append(number)
        for own, _ in pairs:
            current().remove_reader(own.fileno())

    async def scenario() -> None:
        for number, (own, other) in enumerate(pairs):
            current().add_reader(own.fileno(), heard, number)
            other.send(b"x")
        while not seen:
            await sleep(0)

    loop.run(scenario())
    assert len(seen) == 1
    for own, other in pairs:
        own.close()
        other.close()


def test_a_stream_waits_for_room_and_for_bytes() -> None:
    sent = bytes(range(256)) * 8192

    async def scenario() -> None:
        ours, theirs = (Stream(end) for end in socket.socketpair())
        writing = spawn(ours.write(sent))
        received = b""
        while len(received) < len(sent):
            received += await theirs.read(65536)
        await writing
        ours.close()
        assert received == sent
        assert await theirs.read(1) == b""
        theirs.close()

    loop.run(scenario())


def test_a_server_serves_so_many_and_ends_them_when_it_closes() -> None:
    async def echo(stream: Stream) -> None:
        while data := await stream.read(100):
            await stream.write(data)

    async def talk(stream: Stream, data: bytes) -> bytes:
        await stream.write(data)
        return await stream.read(100)

    async def scenario() -> None:
        listening = socket.create_server(("127.0.0.1", 0))
        place = listening.getsockname()
        server = Server(listening, echo, most=2)
        streams = [Stream(socket.create_connection(place)) for _ in range(3)]
        async with Timeout(LONG):
            assert await talk(streams[0], b"a") == b"a"
            assert await talk(streams[1], b"b") == b"b"
            assert await streams[2].read(1) == b""
            server.close()
            assert await streams[0].read(1) == b""
        for stream in streams:
            stream.close()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(place)
        while server.tasks:
            await sleep(0)

    loop.run(scenario())


def test_a_connection_that_breaks_disturbs_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    async def fall(stream: Stream) -> None:
        raise ConnectionResetError

    async def scenario() -> None:
        listening = socket.create_server(("127.0.0.1", 0))
        server = Server(listening, fall, most=1)
        for _ in range(3):
            with socket.create_connection(listening.getsockname()) as client:
                stream = Stream(client)
                async with Timeout(LONG):
                    assert await stream.read(1) == b""
            while server.tasks:
                await sleep(0)
        server.close()

    loop.run(scenario())
    assert capsys.readouterr().err == ""


def test_a_task_is_a_future() -> None:
    async def scenario() -> None:
        task: Task[int] = spawn(give(1))
        with pytest.raises(RuntimeError, match="no result yet"):
            task.result()
        assert await task == 1
        assert await task == 1

    loop.run(scenario())
