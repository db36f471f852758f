"""A client of `grpcio`, as a program of its own: a line of JSON says what to call, one what came of it.

`{"do": NAME, "target": ADDRESS, ...}` runs the function of that name here with the rest as its arguments.
What fails without being told comes back as `{"error": TEXT}`.
"""

import asyncio
import hashlib
import json
import sys
import threading
from collections.abc import Iterator
from typing import Any

import grpc
import grpc.aio

LARGEST = 200 << 20
OPTIONS = [("grpc.max_receive_message_length", LARGEST), ("grpc.max_send_message_length", LARGEST)]
PATIENCE = 30.0  # seconds
Result = dict[str, Any]


def channel(target: str) -> grpc.Channel:
    # a channel of its own, never a connection that another test has used
    return grpc.insecure_channel(target, options=[*OPTIONS, ("grpc.use_local_subchannel_pool", 1)])


def ended(call: Any) -> Result:
    """How a call ended: its error, or the call itself."""
    return {
        "code": call.code().name,
        "details": call.details(),
        "trailing": [
            [key, value if isinstance(value, str) else value.hex()] for key, value in call.trailing_metadata()
        ],
    }


def of_test(metadata: Any) -> list[list[str]]:
    pairs = [[key, value if isinstance(value, str) else value.hex()] for key, value in metadata]
    return sorted(pair for pair in pairs if pair[0].startswith("x-test"))


def unary(
    target: str,
    path: str = "/test.Echo/Unary",
    body: str = "hello",
    timeout: float = PATIENCE,
    times: int = 1,
) -> Result:
    """The last of several calls, one after the other."""
    with channel(target) as own:
        ask = own.unary_unary(path)
        for _ in range(times):
            try:
                answer, call = ask.with_call(body.encode(), timeout=timeout)
            except grpc.RpcError as error:
                result = ended(error)
            else:
                result = ended(call) | {"answer": answer.decode()}
    return result


def metadata(target: str) -> Result:
    """Text and binary metadata there and back."""
    sent = (
        ("x-test-text", "a b, c"),
        ("x-test-bin", bytes(range(256))),
        ("x-test-bin", b""),
        ("x-test-text", "2"),
    )
    with channel(target) as own:
        call = own.unary_unary("/test.Echo/Unary").future(b"", metadata=sent, timeout=PATIENCE)
        call.result()
        return {
            "sent": of_test(sent),
            "initial": of_test(call.initial_metadata()),
            "trailing": of_test(call.trailing_metadata()),
        }


def collect(target: str, size: int, number: int) -> Result:
    with channel(target) as own:
        requests = (b"x" * size for _ in range(number))
        return {"answer": own.stream_unary("/test.Echo/Collect")(requests, timeout=PATIENCE).decode()}


def count(target: str, size: int, number: int) -> Result:
    with channel(target) as own:
        answers = own.unary_stream("/test.Echo/Count")(b"%d %d" % (size, number), timeout=PATIENCE)
        good = [answer == bytes([index & 255]) * size for index, answer in enumerate(answers)]
        return {"number": len(good), "good": all(good)}


def chat(target: str, number: int) -> Result:
    """Message by message: each answer is waited for before the next is sent."""
    answered = threading.Semaphore(1)

    def requests() -> Iterator[bytes]:
        for index in range(number):
            answered.acquire(timeout=PATIENCE)
            yield b"%d" % index

    answers = []
    with channel(target) as own:
        for answer in own.stream_stream("/test.Echo/Chat")(requests(), timeout=PATIENCE):
            answers.append(int(answer))
            answered.release()
    return {"good": answers == list(range(number))}


def large(target: str, size: int) -> Result:
    """One message, there and back."""
    body = hashlib.shake_128(b"large").digest(1 << 20) * (size >> 20)
    with channel(target) as own:
        return {"good": own.unary_unary("/test.Echo/Unary")(body, timeout=2 * PATIENCE) == body}


def hang(target: str, timeout: float | None = None) -> Result:
    """A stream that has begun, and is cancelled, or ends by its deadline."""
    with channel(target) as own:
        own.unary_unary("/test.Echo/Unary")(b"", timeout=PATIENCE)  # its time is not spent on connecting
        call = own.unary_stream("/test.Echo/Hang")(b"first", timeout=timeout)
        first = next(call)
        if timeout is None:
            call.cancel()
        try:
            next(call)
        except grpc.RpcError:
            return ended(call) | {"first": first.decode()}
    return {}


def crowd(target: str, number: int) -> Result:
    """So many streams at once: each has had its first answer before any has its second."""

    async def stream(own: grpc.aio.Channel, index: int, all_begun: asyncio.Barrier) -> bool:
        call = own.stream_stream("/test.Echo/Chat")(timeout=PATIENCE)
        await call.write(b"%d" % index)
        first = await call.read()
        await all_begun.wait()
        await call.write(b"again")
        second = await call.read()
        await call.done_writing()
        return (first, second, await call.code()) == (b"%d" % index, b"again", grpc.StatusCode.OK)

    async def run() -> Result:
        all_begun = asyncio.Barrier(number)
        async with grpc.aio.insecure_channel(target, options=OPTIONS) as own:
            good = await asyncio.gather(*(stream(own, index, all_begun) for index in range(number)))
        return {"good": all(good), "number": len(good)}

    return asyncio.run(run())


def main() -> None:
    known = {own.__name__: own for own in (unary, metadata, collect, count, chat, large, hang, crowd)}
    for line in sys.stdin:
        wanted = json.loads(line)
        try:
            result = known[wanted.pop("do")](**wanted)
        except Exception as error:
            result = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
