"""The error that ends a command."""


class Failure(Exception):
    """What went wrong, where, and what to do: lines for a person, shown without a traceback.

    Exit status 1.
    """

    def __init__(self, *lines: str) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines
