"""A server of `grpcio`, as a program of its own: it prints its port, then what happens.

Messages are bytes as they are: there is no generated code. All methods are of the service `test.Echo`:

    Unary     answers what it was sent; metadata that was sent as x-test* comes back in head and trailers
    Collect   answers, of a stream of messages, how many bytes came in how many messages
    Count     answers "SIZE NUMBER" with so many messages of that size
    Chat      answers each message with itself
    Fail      "STATUS TIMES": ends with that status the first so many times, and then is well
    Hang      answers one message and then nothing; says `cancelled` when the call ends, and its time
"""

import asyncio
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio

Context = Any  # grpc.aio.ServicerContext, which has no types
LARGEST = 200 << 20
CODES = {code.value[0]: code for code in grpc.StatusCode}


def say(text: str) -> None:
    print(text, flush=True)


async def unary(request: bytes, context: Context) -> bytes:
    given = [(key, value) for key, value in context.invocation_metadata() if key.startswith("x-test")]
    await context.send_initial_metadata(given)
    context.set_trailing_metadata(given)
    return request


async def collect(requests: AsyncIterator[bytes], context: Context) -> bytes:
    count = size = 0
    async for request in requests:
        count += 1
        size += len(request)
    return b"%d %d" % (count, size)


async def count(request: bytes, context: Context) -> AsyncIterator[bytes]:
    size, number = map(int, request.split())
    for index in range(number):
        yield bytes([index & 255]) * size


async def chat(requests: AsyncIterator[bytes], context: Context) -> AsyncIterator[bytes]:
    async for request in requests:
        yield request


FAILED: Counter[bytes] = Counter()


async def fail(request: bytes, context: Context) -> bytes:
    status, times = map(int, request.split())
    FAILED[request] += 1
    if FAILED[request] <= times:
        await context.abort(CODES[status], f"failure {FAILED[request]}: 50 % gone, \N{SNOWMAN}")
    return b"%d" % FAILED[request]


async def hang(request: bytes, context: Context) -> AsyncIterator[bytes]:
    left = context.time_remaining()
    try:
        yield request
        await asyncio.Event().wait()
    finally:
        say(f"cancelled, with {'no limit' if left is None else f'{left:.1f} s'}")


async def serve() -> None:
    unary_unary = grpc.unary_unary_rpc_method_handler
    methods = {
        "Unary": unary_unary(unary),
        "Fail": unary_unary(fail),
        "Collect": grpc.stream_unary_rpc_method_handler(collect),
        "Count": grpc.unary_stream_rpc_method_handler(count),
        "Hang": grpc.unary_stream_rpc_method_handler(hang),
        "Chat": grpc.stream_stream_rpc_method_handler(chat),
    }
    server = grpc.aio.server(
        options=[("grpc.max_receive_message_length", LARGEST), ("grpc.max_send_message_length", LARGEST)]
    )
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Echo", methods),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    say(str(port))
    await ended.wait()
    await server.stop(0)


if __name__ == "__main__":
    sys.exit(asyncio.run(serve()))
