"""The JSON Schema of the configuration, generated from the model: ``config/shardproxy.schema.json``.

``python -m shardproxy.config.schema > config/shardproxy.schema.json`` brings the file up to date.
"""

import json
import sys
from typing import Any

from shardproxy.config.model import Config

TITLE = "shardproxy configuration"


def json_schema() -> dict[str, Any]:
    """The schema, in draft 2020-12."""
    schema = Config.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": TITLE, **schema}


def schema_text() -> str:
    """The schema as it is committed."""
    return json.dumps(json_schema(), indent=2) + "\n"


if __name__ == "__main__":
    sys.stdout.write(schema_text())
