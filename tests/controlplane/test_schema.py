"""The published schema is that of the model, and accepts what the model accepts."""

from pathlib import Path

import jsonschema
import msgspec
import pytest

from tulle.controlplane.model import Config, simple_config
from tulle.controlplane.schema import schema_text

SCHEMA = Path(__file__).parents[2] / "docs" / "schema.json"


def test_the_published_schema_is_up_to_date() -> None:
    assert SCHEMA.read_text() == schema_text(), "run: python -m tulle.controlplane.schema > docs/schema.json"


def test_the_schema_accepts_a_config_and_refuses_an_unknown_key() -> None:
    schema = msgspec.json.decode(SCHEMA.read_bytes())
    plain = msgspec.to_builtins(simple_config("127.0.0.1:8080", ["127.0.0.1:9001"]))
    jsonschema.validate(plain, schema)
    plain["clusters"]["default"]["load_balancr"] = "random"
    with pytest.raises(jsonschema.ValidationError, match="load_balancr"):
        jsonschema.validate(plain, schema)
    with pytest.raises(msgspec.ValidationError, match="load_balancr"):
        msgspec.convert(plain, Config)
