import itertools

from hypothesis import given
from hypothesis import strategies as st

from akool_dagster.batch.planning import contiguous_ranges

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


def test_keys_that_dagster_does_not_know_are_left_out() -> None:
    assert contiguous_ranges(KEYS, chosen={"gone.1"}, longest=5) == []
