"""The directory that keeps a demo: found again, never mixed up, never shared."""

from pathlib import Path

import pytest

from shardproxy.demo.errors import DemoError
from shardproxy.demo.shape import Kept, Shape, Wanted


def test_what_was_not_asked_for_has_the_defaults() -> None:
    assert Wanted().shape() == Shape(3, 1, 200, 100_000)
    assert Wanted(shards=2, replicas=0).shape() == Shape(shards=2, replicas=0)
    with pytest.raises(DemoError, match="99 orders are too few for 100 tenants"):
        Shape(tenants=100, orders=99).amount()


def test_a_complete_demo_is_found_again(tmp_path: Path) -> None:
    shape = Shape(2, 0, 5, 50)
    first = Kept(tmp_path / "a" / "b")
    assert first.shape is None
    first.write(shape, complete=True)
    first.close()
    again = Kept(tmp_path / "a" / "b")
    assert again.agree(Wanted()) == again.agree(Wanted(shards=2, orders=50)) == shape
    with pytest.raises(DemoError, match="--shards 2, not 3"):
        again.agree(Wanted(shards=3))
    again.close()


def test_what_an_interrupted_run_left_is_made_anew(tmp_path: Path) -> None:
    first = Kept(tmp_path)
    first.write(Shape(), complete=False)
    (tmp_path / "shard-a").mkdir()
    (tmp_path / "shard-a" / "PG_VERSION").write_text("18\n")
    first.close()
    again = Kept(tmp_path)
    assert again.shape is None
    assert not (tmp_path / "shard-a").exists()
    again.close()


def test_a_directory_with_other_files_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(DemoError, match="is not empty"):
        Kept(tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "precious"
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_two_demos_do_not_share_a_directory(tmp_path: Path) -> None:
    first = Kept(tmp_path)
    with pytest.raises(DemoError, match="another demo is running"):
        Kept(tmp_path)
    first.close()
    Kept(tmp_path).close()


@pytest.mark.parametrize("text", ["{", "[]", '{"complete": true, "colour": 1}', '{"shards": 1}'])
def test_a_damaged_manifest_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "demo.json").write_text(text)
    with pytest.raises(DemoError, match="is damaged"):
        Kept(tmp_path)
