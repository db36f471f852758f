from typing import Any

def run(
    port: int,
    requests: list[bytes],
    *,
    connections: int,
    seconds: float,
    rate: float = 0,
    closing: bool = False,
    holding: bool = False,
    body_size: int = 0,
    stamping: bool = False,
) -> dict[str, Any]: ...
