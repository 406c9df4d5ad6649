import itertools
import math

from hypothesis import given
from hypothesis import strategies as st

from akool_dagster.batch.planning import MORE_RUNS, contiguous_ranges, group_keys

KEYS = [f"m.{number}" for number in range(60)]


@given(st.sets(st.sampled_from(KEYS)), st.integers(1, 20))
def test_ranges_hold_exactly_the_chosen_keys_and_never_a_gap(
    chosen: set[str], longest: int
) -> None:
    ranges = contiguous_ranges(KEYS, chosen=chosen, longest=longest)
    assert [key for part in ranges for key in part.keys] == [k for k in KEYS if k in chosen]
    for part in ranges:
        start = KEYS.index(part.first)
        assert tuple(KEYS[start : start + len(part.keys)]) == part.keys
        assert len(part.keys) <= longest
    for left, right in itertools.pairwise(ranges):
        adjoining = KEYS.index(left.last) + 1 == KEYS.index(right.first)
        assert not adjoining or len(left.keys) == longest


@given(st.sets(st.sampled_from(KEYS)), st.integers(1, 20))
def test_groups_hold_exactly_the_chosen_keys_in_few_runs(chosen: set[str], longest: int) -> None:
    groups = group_keys(KEYS, chosen=chosen, longest=longest)
    assert [key for group in groups for key in group.keys] == [k for k in KEYS if k in chosen]
    assert len(groups) <= math.ceil(len(chosen) / longest) + MORE_RUNS
    for group in groups:
        assert len(group.keys) <= longest
        if group.is_range:
            start = KEYS.index(group.keys[0])
            assert tuple(KEYS[start : start + len(group.keys)]) == group.keys


def test_300_of_10000_scripts_take_four_runs_at_most() -> None:
    keys = [f"m.{number}" for number in range(10_000)]
    groups = group_keys(keys, chosen=set(keys[::33][:300]), longest=100)
    assert len(groups) <= 4
    assert sum(len(group.keys) for group in groups) == 300


def test_keys_that_dagster_does_not_know_are_left_out() -> None:
    assert contiguous_ranges(KEYS, chosen={"gone.1"}, longest=5) == []
