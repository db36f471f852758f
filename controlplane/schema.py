"""The JSON Schema of the configuration, made from the model.

`python -m tulle.controlplane.schema > docs/schema.json` writes it.
"""

import json
import sys

import msgspec

from tulle.controlplane.model import Config


def schema_text() -> str:
    """The schema as JSON with indentation, ending in a newline."""
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Tulle configuration",
        **msgspec.json.schema(Config),
    }
    return json.dumps(schema, indent=2) + "\n"


if __name__ == "__main__":
    sys.stdout.write(schema_text())
