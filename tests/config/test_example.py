"""The example shows every option with the model's default, and is a configuration without mistakes."""

import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter
from pydantic_core import PydanticUndefined

from shardproxy.config.document import MapNode, Node, plain, read_document
from shardproxy.config.load import read
from shardproxy.config.options import Option, options, section_at

CONFIG = Path(__file__).parents[2] / "config"
EXAMPLE = CONFIG / "shardproxy.example.yaml"
ENVIRONMENT = {"SHARDPROXY_APP_PASSWORD": "x", "SHARDPROXY_SERVER_PASSWORD": "y"}
COMMENTED = re.compile(r"^( *)#([a-z_]+:.*)$", re.MULTILINE)

ILLUSTRATIONS = {
    "auth.users.*.password",
    "auth.users.*.password_file",
    "server.password",
    "server.password_file",
    "server.database",
    "operator.user",
    "operator.password",
    "operator.password_file",
    "operator.password_env",
    "catalog.shard",
    "shards.*.user",
    "shards.*.password",
    "shards.*.password_file",
    "shards.*.password_env",
    "shards.*.database",
    "shards.*.primary.unix",
    "designated",
    "tenant_group",
    "tables.*.group",
}
"""Commented options that show a value because there is no default, or one that depends on other options."""


def shown(text: str) -> dict[str, list[Any]]:
    """Every option in ``text`` with its values; ``*`` stands for items of lists and keys of the user."""
    root, mistakes = read_document("example", text)
    assert root is not None, mistakes
    found: dict[str, list[Any]] = {}

    def walk(node: Node) -> None:
        if isinstance(node, MapNode):
            section = section_at(node.path)
            for key, value in node.entries.items():
                if section is not None and key in section.model_fields:
                    found.setdefault(generic((*node.path, key)), []).append(plain(value))
                walk(value)
        for item in getattr(node, "items", ()):
            walk(item)

    walk(root)
    return found


def generic(path: tuple[str | int, ...]) -> str:
    """``shards.*.name`` for ``shards[0].name``, ``tables.*.key`` for ``tables.orders.key``."""
    steps = []
    for depth, step in enumerate(path):
        section = section_at(path[:depth])
        steps.append(str(step) if section is not None and step in section.model_fields else "*")
    return ".".join(steps)


def uncommented() -> str:
    return COMMENTED.sub(r"\1\2", EXAMPLE.read_text())


def commented_only() -> dict[str, list[Any]]:
    active, every = shown(EXAMPLE.read_text()), shown(uncommented())
    return {name: [v for v in values if v not in active.get(name, [])] for name, values in every.items()}


def test_the_examples_have_no_mistakes() -> None:
    for name in ("example", "minimal"):
        loaded = read(CONFIG / f"shardproxy.{name}.yaml", ENVIRONMENT)
        assert loaded.mistakes == ()
        assert loaded.warnings == ()


def test_every_option_is_shown() -> None:
    names = {".".join(option.path) for option in options()}
    short = {name for name in names if name.startswith(("shards.*.replicas.*.",))}  # as primary's, once
    assert names - short == set(shown(uncommented())) - short


@pytest.mark.parametrize("option", list(options()), ids=lambda option: ".".join(option.path))
def test_a_commented_option_states_its_default(option: Option) -> None:
    name = ".".join(option.path)
    stated = [value for value in commented_only().get(name, []) if value is not None]
    if name in ILLUSTRATIONS or option.section is not None:
        return
    default = option.field.get_default(call_default_factory=True)
    for value in stated:
        assert default is not PydanticUndefined, f"{name} has no default, so it cannot be a comment"
        adapter = TypeAdapter(option.field.rebuild_annotation())
        assert adapter.validate_python(value) == default


def test_every_option_is_explained() -> None:
    """A comment stands above each option's line, or above the section that begins there."""
    names = {option.path[-1] for option in options()}
    lines = EXAMPLE.read_text().splitlines()
    explained = 0
    for number, line in enumerate(lines):
        match = re.match(r" *(?:- )?#?([a-z_]+):", line)
        if match is None or match[1] not in names:
            continue
        above = lines[number - 1].strip()
        assert above.startswith(("#", "- #")) or above.endswith(":"), f"line {number + 1}: {line}"
        explained += 1
    assert explained > 50
