"""The JSON Schema is current, and means what the loader means."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from shardproxy.config.schema import json_schema, schema_text
from tests.config.conftest import GOOD

CONFIG = Path(__file__).parents[2] / "config"


class Yaml12(yaml.SafeLoader):
    """Reads YAML 1.2's core schema, as editors do: ``off`` is text."""


Yaml12.yaml_implicit_resolvers = {
    first: [(tag, regexp) for tag, regexp in resolvers if not tag.endswith(("bool", "timestamp"))]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def values(text: str) -> Any:
    # In JSON every key is text.
    return json.loads(json.dumps(yaml.load(text, Yaml12)))  # a subclass of SafeLoader


def problems(text: str) -> list[str]:
    validator = jsonschema.Draft202012Validator(json_schema())
    return [error.message for error in validator.iter_errors(values(text))]


def test_the_committed_schema_is_current() -> None:
    """Otherwise: python -m shardproxy.config.schema > config/shardproxy.schema.json"""
    assert (CONFIG / "shardproxy.schema.json").read_text() == schema_text()


def test_it_is_a_valid_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(json_schema())


@pytest.mark.parametrize("name", ["shardproxy.example.yaml", "shardproxy.minimal.yaml"])
def test_the_examples_validate(name: str) -> None:
    assert problems((CONFIG / name).read_text()) == []


@pytest.mark.parametrize(
    "added",
    [
        "listen: [127.0.0.1, {unix: /tmp, unix_mode: '0700'}, {host: h, port: 0}]",
        "http: off",
        "pool:\nlisten:\nplacements:",
        "pool: {wait_timeout: 5, idle_timeout: 'off', max_lifetime: 1.5 h}",
        "groups: {a: text, b: {type: bigint, placements: {'1': a}}}",
        "tables: {a: reference, b: {key: id}, c: {local: a}}",
        "limits: {max_message_size: 1GB}",
    ],
)
def test_what_the_loader_takes_validates(added: str) -> None:
    assert problems(GOOD + added) == []


@pytest.mark.parametrize(
    "added",
    [
        "pol: {}",
        "pool: {size: many}",
        "pool: {size: 0}",
        "pool: {wait_timeout: 5y}",
        "pool: {wait_timeout: 'off'}",
        "http: 5",
        "groups: {a: {type: money}}",
        "tables: {a: refrence}",
        "tenant_isolation: on",
        "designated: 5",
    ],
)
def test_what_the_loader_refuses_does_not_validate(added: str) -> None:
    assert problems(GOOD + added)


def test_every_option_says_what_it_means() -> None:
    def options(section: dict[str, Any]) -> dict[str, Any]:
        return {
            name: each
            for part in (section, *section.get("anyOf", ()))
            for name, each in part.get("properties", {}).items()
        }

    schema = json_schema()
    for section in (schema, *schema["$defs"].values()):
        for name, option in options(section).items():
            assert "description" in option or "$ref" in str(option), name
