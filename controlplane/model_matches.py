"""The vocabulary of matches: what a request must be like."""

from typing import Annotated, Literal

from msgspec import Meta

from tulle.controlplane.model_values import FieldName, PathText, Section
from tulle.controlplane.units import END

GrpcService = Annotated[
    str,
    Meta(
        max_length=1024,
        pattern=r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*" + END,
        description="A service with its package.",
        examples=["shop.v1.Cart"],
    ),
]
GrpcMethod = Annotated[
    str, Meta(max_length=1024, pattern=r"^[A-Za-z_][A-Za-z0-9_]*" + END, examples=["AddItem"])
]


class ValueMatch(Section, frozen=True):
    """What a header or a query parameter must be: exactly one of the three."""

    exact: str | None = None
    regex: str | None = None
    present: Literal[True] | None = None


class PathMatch(Section, frozen=True):
    """What the path must be: exactly one of the three."""

    exact: PathText | None = None
    prefix: PathText | None = None
    regex: str | None = None


class GrpcMatch(Section, frozen=True):
    """What a gRPC call must be of: a service, a method, or that method of that service."""

    service: GrpcService | None = None
    method: GrpcMethod | None = None


class Match(Section, frozen=True):
    """What a request must be like; all the parts that are given."""

    path: PathMatch = PathMatch(prefix="/")
    grpc: GrpcMatch | None = None
    method: FieldName | None = None
    headers: dict[FieldName, ValueMatch] = {}
    query: dict[Annotated[str, Meta(min_length=1)], ValueMatch] = {}
