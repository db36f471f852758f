"""The kinds of values that the model's fields have, and what all its sections share."""

from typing import Annotated

from msgspec import Meta, Struct

from tulle.controlplane.units import DURATION_PATTERN, END, SIZE_PATTERN

Duration = Annotated[
    str,
    Meta(
        pattern=DURATION_PATTERN,
        description="A duration with its unit: ns, us, ms, s, m, h, d.",
        examples=["250ms", "15s", "1h30m"],
    ),
]
Size = (
    Annotated[int, Meta(ge=0, le=1 << 50)]
    | Annotated[
        str,
        Meta(pattern=SIZE_PATTERN, description="Bytes, or with a unit.", examples=["64KiB", "1MiB"]),
    ]
)
Name = Annotated[str, Meta(min_length=1, max_length=253, pattern=r"^[^\x00-\x20\x7f]+" + END)]
Address = Annotated[
    str, Meta(min_length=3, max_length=320, examples=["127.0.0.1:8080", "[::1]:8080", "unix:/run/a.sock"])
]
Port = Annotated[int, Meta(ge=1, le=65535)]
Count = Annotated[int, Meta(ge=1, le=4_294_967_295)]
Weight = Annotated[int, Meta(ge=0, le=1_000_000)]
FieldName = Annotated[str, Meta(max_length=256, pattern=r"^[!#$%&'*+\-.^_`|~0-9A-Za-z]+" + END)]
FieldValue = Annotated[
    str,
    Meta(
        max_length=8192,
        pattern=r"^([^\x00-\x20\x7f]([^\x00-\x08\x0a-\x1f\x7f]*[^\x00-\x20\x7f])?)?" + END,
    ),
]
MetadataKey = Annotated[str, Meta(min_length=1, max_length=253, pattern=r"^[^\x00-\x1f\x7f]+" + END)]
MetadataValue = Annotated[str, Meta(max_length=253, pattern=r"^[^\x00-\x1f\x7f]*" + END)]
Hostname = Annotated[str, Meta(min_length=1, max_length=253)]
Status = Annotated[int, Meta(ge=200, le=599)]
PathText = Annotated[str, Meta(max_length=8192, pattern=r"^[^\x00-\x20\x7f#?]*" + END)]


class Section(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What all sections share: unknown keys are errors."""
