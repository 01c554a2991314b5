"""YAML to a tree with positions, the same with both of PyYAML's parsers."""

import pytest
import yaml

from shardproxy.config import document
from shardproxy.config.document import MapNode, ScalarNode, plain, position_of, read_document
from shardproxy.config.mistakes import Position, dotted

TEXT = """\
# comment
a: 1
b:
  - x: "y"     # comment
    'quoted key': ~
  - [p, "", null, '~', NULL]
c: |
  several
  lines
d: {e: , f: g}
"""


@pytest.fixture(params=["CSafeLoader", "SafeLoader"])
def loader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    found = getattr(yaml, request.param, None)
    if found is None:
        pytest.skip("PyYAML was built without libyaml")
    monkeypatch.setattr(document, "_LOADER", found)


@pytest.mark.usefixtures("loader")
def test_scalars_are_text_or_none() -> None:
    root, mistakes = read_document("f", TEXT)
    assert mistakes == []
    assert root is not None
    assert plain(root) == {
        "a": "1",
        "b": [{"x": "y", "quoted key": None}, ["p", "", None, "~", None]],
        "c": "several\nlines\n",
        "d": {"e": None, "f": "g"},
    }


@pytest.mark.usefixtures("loader")
@pytest.mark.parametrize(
    ("path", "position"),
    [
        (("a",), (2, 4)),
        (("b",), (4, 3)),
        (("b", 0, "x"), (4, 8)),
        (("b", 0, "quoted key"), (5, 19)),
        (("b", 1, 1), (6, 9)),
        (("b", 5), (4, 3)),
        (("c",), (7, 4)),
        (("d", "f"), (10, 13)),
        (("d", "zzz", 1), (10, 4)),
    ],
)
def test_everything_has_its_position(path: tuple[str | int, ...], position: tuple[int, int]) -> None:
    root, _ = read_document("f", TEXT)
    assert root is not None
    assert position_of(root, path) == Position(*position)


@pytest.mark.usefixtures("loader")
def test_keys_have_theirs() -> None:
    root, _ = read_document("f", TEXT)
    assert root is not None
    assert root.key_positions["d"] == Position(10, 1)


@pytest.mark.usefixtures("loader")
def test_a_copy_of_an_anchored_value_has_its_own_path() -> None:
    root, _ = read_document("f", "a: &x {k: [v]}\nb: *x\n")
    assert root is not None
    copy = root.entries["b"]
    assert isinstance(copy, MapNode)
    item = copy.entries["k"]
    assert item.path == ("b", "k")
    assert item.position == Position(2, 4)


@pytest.mark.usefixtures("loader")
def test_an_anchor_inside_itself_is_refused() -> None:
    root, mistakes = read_document("f", "a: &x [*x]\n")
    assert root is None
    assert "an alias (*) without an anchor (&) before it" in str(mistakes[0])


@pytest.mark.usefixtures("loader")
def test_the_first_of_two_equal_keys_is_kept() -> None:
    root, mistakes = read_document("f", "a: 1\na: {b: 2}\n")
    assert root is not None
    assert [str(mistake) for mistake in mistakes] == ["f:2:1: a: is given twice, first on line 1; keep one"]
    assert isinstance(root.entries["a"], ScalarNode)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (("shards", 1, "primary"), "shards[1].primary"),
        (("placements", "a.b"), "placements.'a.b'"),
        (("a b", "c"), "'a b'.c"),
        ((), ""),
    ],
)
def test_paths_are_dotted(path: tuple[str | int, ...], text: str) -> None:
    assert dotted(path) == text
