from _typeshed import ReadableBuffer

OUTCOMES: tuple[str, ...]

class Authorizer:
    def __init__(self, segment: ReadableBuffer) -> None: ...
    def ask(
        self,
        listener: int,
        route: int | None,
        request: tuple[bytes, bytes, bytes, list[tuple[bytes, bytes]]] | None = None,
        principal: bytes = b"",
        peer: bytes = b"",
        client: bytes = b"",
        claims: bytes = b"",
    ) -> tuple[bool, int | None, list[tuple[int | None, str]], dict[int, int]]: ...
