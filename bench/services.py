"""`python -m bench.services HOSTS`: hosts that take their time, fail or are overloaded, in the foreground."""

import argparse
import json
import signal

from bench.hosts import Host
from bench.loops.services import run
from bench.sockets import listen


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench.services", description="hosts that take their time, fail or are overloaded"
    )
    parser.add_argument(
        "hosts", type=json.loads, metavar="HOSTS", help='as [{"port": 9001, "least": 0.01, "failing": 0.5}]'
    )
    described = []
    for entry in parser.parse_args().hosts:
        listener = listen(entry.pop("port"))
        host = Host(**entry)
        character = (host.least, host.more, host.failing, host.slots, host.queue)
        described.append((listener.detach(), *character))
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # the loop never comes back to Python to see one
    run(described)


if __name__ == "__main__":
    main()
