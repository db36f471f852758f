"""The PID file: written when the proxy is ready, whole or not at all, removed when it leaves."""

import os
from contextlib import suppress

from tulle.proxy.failure import Failure


class PidFile:
    """`path` holds the PID of the master, in decimal and with a newline."""

    def __init__(self, path: str) -> None:
        self.path = os.path.abspath(path)

    def check(self) -> None:
        """`Failure` when it could not be written."""
        if not os.access(os.path.dirname(self.path), os.W_OK | os.X_OK):
            raise self._failure("the directory does not exist or is not writable")

    def write(self) -> None:
        """`Failure` when the directory does not let us."""
        folder, name = os.path.split(self.path)
        draft = os.path.join(folder, f".{name}.{os.getpid()}")
        try:
            with open(draft, "w") as file:
                file.write(f"{os.getpid()}\n")
            os.replace(draft, self.path)
        except OSError as error:
            with suppress(OSError):
                os.unlink(draft)
            raise self._failure(error.strerror or str(error)) from None

    def _failure(self, reason: str) -> Failure:
        return Failure(f"cannot write the PID file {self.path}: {reason}; choose another with --pid-file")

    def remove(self) -> None:
        """If it is still ours."""
        with suppress(OSError, ValueError):
            if read(self.path) == os.getpid():
                os.unlink(self.path)


def read(path: str) -> int:
    """The PID in a file. OSError when there is none, ValueError when it holds something else."""
    with open(path) as file:
        return int(file.read().strip())
