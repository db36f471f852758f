from typing import NamedTuple

from _typeshed import ReadableBuffer

class Endpoint(NamedTuple):
    address: str
    priority: int
    zone: str
    metadata: str

class Group(NamedTuple):
    priority: int
    zone: str
    members: list[int]
    share: float
    panic: bool

class GroupView:
    def __init__(self, segment: ReadableBuffer) -> None: ...
    def endpoints(self, cluster: int) -> list[Endpoint]: ...
    def sets(self, cluster: int, available: list[bool]) -> list[tuple[bool, list[Group]]]: ...
