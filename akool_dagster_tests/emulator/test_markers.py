from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from akool_dagster.emulator.markers import MarkerError, find_markers, without_markers


def only(text: str):
    (marker,) = find_markers([text])
    return marker


def test_a_code_refuses() -> None:
    marker = only("Hello [[video:1003]] there")
    assert (marker.target, marker.refuse_code, marker.fails) == ("video", 1003, False)


def test_failed_with_and_without_code_and_reason() -> None:
    bare, coded = only("[[video:failed]]"), only("[[video:failed 1205]]")
    worded = only("[[voice: failed 1205 create video error ]]")
    assert (bare.fails, bare.code, bare.reason) == (True, None, "")
    assert (coded.fails, coded.code, coded.reason) == (True, 1205, "")
    assert (worded.target, worded.code, worded.reason) == ("voice", 1205, "create video error")


def test_the_other_outcomes() -> None:
    assert only("[[video:stuck]]").stuck
    assert only("[[video:lost]]").lost
    assert only("[[avatar:slow 600]]").extra_seconds == 600


def test_only_the_first_creates() -> None:
    marker = only("[[video:1015 x2]]")
    assert (marker.refuse_code, marker.first) == (1015, 2)
    failing = only("[[video:failed 1205 bad x file x3]]")
    assert (failing.reason, failing.first) == ("bad x file", 3)


def test_percent_encoded_links_carry_markers() -> None:
    link = "https://media.example/p.png?note=" + quote("[[video:failed 1205 no face]]")
    assert only(link).reason == "no face"


def test_several_markers_keep_their_order() -> None:
    markers = find_markers(["[[voice:1201]] and [[video:failed]]", "[[video:lost]]"])
    assert [marker.text for marker in markers] == [
        "[[voice:1201]]",
        "[[video:failed]]",
        "[[video:lost]]",
    ]


@pytest.mark.parametrize("wrong", ["[[video:banana]]", "[[video:]]", "[[voice:failed now]]"])
def test_a_misspelt_outcome_is_told(wrong: str) -> None:
    with pytest.raises(MarkerError, match="no known outcome") as error:
        find_markers([wrong])
    assert wrong in str(error.value)


def test_other_brackets_are_text() -> None:
    assert find_markers(["Press [[enter]] or [[x:1]]"]) == []
    assert without_markers("Press [[enter]]") == "Press [[enter]]"


@given(st.text(), st.text(), st.sampled_from(["1003", "failed", "stuck", "lost", "slow 5"]))
def test_a_marker_leaves_nothing_behind(before: str, after: str, outcome: str) -> None:
    assert "[[video:" not in without_markers(f"{before}[[video:{outcome}]]{after}")


@given(st.text(alphabet="[]:videolstfa 1203x\n%"))
def test_texts_without_a_marker_are_only_trimmed(text: str) -> None:
    try:
        markers = find_markers([text])
    except MarkerError:
        return
    if not markers:
        assert without_markers(text).replace(" ", "") == text.strip().replace(" ", "")
