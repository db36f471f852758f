"""`python -m bench.load --port P ...`: our own load, in the foreground; one line of JSON at its end.

With `--hold` the connections stay open after that line until stdin ends.
"""

import argparse
import json
import sys

from bench.loops.load import run


def request_head(method: str, path: str, body_size: int, closing: bool) -> bytes:
    """The head of one request, as bytes ready to be sent."""
    fields = ["Host: bench.test"]
    if body_size:
        fields.append(f"Content-Length: {body_size}")
    if closing:
        fields.append("Connection: close")
    return "\r\n".join((f"{method} {path} HTTP/1.1", *fields, "", "")).encode()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.load", description="an HTTP/1.1 load")
    parser.add_argument("--port", type=int, required=True, help="connect to 127.0.0.1:PORT")
    parser.add_argument("--connections", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--rate", type=float, default=0, help="requests a second; 0: as many as are answered")
    parser.add_argument("--path", action="append", default=[], help="may be repeated: taken in turn")
    parser.add_argument("--upload", type=int, default=0, metavar="BYTES", help="POST a body of so many bytes")
    parser.add_argument("--close", action="store_true", help="a connection for each request")
    parser.add_argument("--hold", action="store_true", help="one request each, then keep them open")
    parser.add_argument("--stamps", action="store_true", help="tell the times of each good answer")
    options = parser.parse_args()
    if options.stamps and not options.rate:
        parser.error("--stamps needs a --rate: it bounds how many there are")
    method = "POST" if options.upload else "GET"
    result = run(
        options.port,
        [request_head(method, path, options.upload, options.close) for path in options.path or ["/"]],
        connections=options.connections,
        seconds=options.seconds,
        rate=options.rate,
        closing=options.close,
        holding=options.hold,
        body_size=options.upload,
        stamping=options.stamps,
    )
    print(json.dumps(result), flush=True)
    if options.hold:
        sys.stdin.read()


if __name__ == "__main__":
    main()
