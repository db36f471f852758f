"""The vocabulary of matches: what a request must be like."""

from typing import Annotated, Literal

from msgspec import Meta

from tulle.controlplane.model_values import FieldName, PathText, Section


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


class Match(Section, frozen=True):
    """What a request must be like; all the parts that are given."""

    path: PathMatch = PathMatch(prefix="/")
    method: FieldName | None = None
    headers: dict[FieldName, ValueMatch] = {}
    query: dict[Annotated[str, Meta(min_length=1)], ValueMatch] = {}
