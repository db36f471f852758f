"""`python -m bench.backend --port P`: the cheap HTTP/1.1 backend, in the foreground."""

import argparse
import signal

from bench.loops.backend import run
from bench.sockets import listen


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench.backend",
        description="answers 100 bytes, /bytes/N N bytes, /events an event stream; swallows bodies",
    )
    parser.add_argument("--port", type=int, required=True, help="listen on 127.0.0.1:PORT")
    parser.add_argument(
        "--close-rate", type=float, default=0, help="close so many idle connections a second, at random"
    )
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # the loop never comes back to Python to see one
    run(listen(options.port).detach(), options.close_rate)


if __name__ == "__main__":
    main()
