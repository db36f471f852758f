"""`python -m bench.relay --port P --backend-port B`: the bare relay, in the foreground."""

import argparse
import signal

from bench.loops.relay import run
from bench.sockets import listen


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.relay", description="copies bytes, looks at none")
    parser.add_argument("--port", type=int, required=True, help="listen on 127.0.0.1:PORT")
    parser.add_argument("--backend-port", type=int, required=True, help="connect to 127.0.0.1:PORT")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # the loop never comes back to Python to see one
    run(listen(options.port).detach(), options.backend_port)


if __name__ == "__main__":
    main()
