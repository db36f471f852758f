"""What goes wrong with identities and certificates, for people."""


class IdentityError(Exception):
    """Refused, or impossible. `lines` say what happened, where, and what to do."""

    def __init__(self, *lines: str) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines
