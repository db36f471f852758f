"""`python -m bench.grpc_backend --port P`: a gRPC server of `grpcio`, in the foreground.

Messages are bytes as they are. `/bench.Echo/Unary` answers with what it was sent, `/bench.Echo/Count` to a
message "SIZE NUMBER" with so many messages of that size.
"""

import argparse
import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio

UNARY = "/bench.Echo/Unary"
COUNT = "/bench.Echo/Count"


async def unary(request: bytes, context: Any) -> bytes:
    return request


async def count(request: bytes, context: Any) -> AsyncIterator[bytes]:
    size, number = map(int, request.split())
    for _ in range(number):
        yield b"x" * size


async def serve(port: int) -> None:
    methods = {
        "Unary": grpc.unary_unary_rpc_method_handler(unary),
        "Count": grpc.unary_stream_rpc_method_handler(count),
    }
    server = grpc.aio.server(options=[("grpc.max_concurrent_streams", 10000)])
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("bench.Echo", methods),))
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    await server.wait_for_termination()


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench.grpc_backend", description="a gRPC server that echoes and counts"
    )
    parser.add_argument("--port", type=int, required=True, help="listen on 127.0.0.1:PORT")
    asyncio.run(serve(parser.parse_args().port))


if __name__ == "__main__":
    main()
