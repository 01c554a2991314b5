"""The plan cache forgets what was used least recently, and stays within its bytes."""

from shardproxy.sql.plan_cache import PlanCache


def test_what_was_put_is_found() -> None:
    cache: PlanCache[str, int] = PlanCache(100)
    cache.put("a", 1, 10)
    assert (cache.get("a"), cache.get("b")) == (1, None)
    assert (len(cache), cache.bytes, cache.evictions) == (1, 10, 0)


def test_the_least_recently_used_goes_first() -> None:
    cache: PlanCache[str, int] = PlanCache(100)
    for i, key in enumerate("abcd"):
        cache.put(key, i, 25)
    cache.get("a")
    cache.put("e", 4, 20)
    assert [key for key in "abcde" if cache.get(key) is not None] == ["a", "c", "d", "e"]
    assert (cache.bytes, cache.evictions) == (95, 1)


def test_one_entry_may_push_out_several() -> None:
    cache: PlanCache[int, int] = PlanCache(100)
    for i in range(10):
        cache.put(i, i, 10)
    cache.put(10, 10, 25)
    assert (len(cache), cache.bytes, cache.evictions) == (8, 95, 3)


def test_a_new_value_replaces_the_old_one() -> None:
    cache: PlanCache[str, int] = PlanCache(100)
    cache.put("a", 1, 10)
    cache.put("a", 2, 20)
    assert (cache.get("a"), len(cache), cache.bytes, cache.evictions) == (2, 1, 20, 0)


def test_what_is_too_large_is_not_kept_and_pushes_nothing_out() -> None:
    cache: PlanCache[str, int] = PlanCache(100)
    cache.put("a", 1, 10)
    cache.put("b", 2, 26)
    assert (cache.get("a"), cache.get("b"), cache.bytes) == (1, None, 10)
    cache.put("a", 3, 26)
    assert (cache.get("a"), cache.bytes) == (None, 0)
