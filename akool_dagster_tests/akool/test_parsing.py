"""Every shape that AKOOL is known to send, and any other JSON without a surprise."""

import copy
import math
import pickle
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from datetime import datetime, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from akool_dagster.akool import AvatarKind, AvatarSource, Failure, Status, parsing
from akool_dagster.akool.parsing import NO_REASON, NoRecord, UnexpectedShape

ID = "674900000000000000000001"

leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-1, 7)
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["1", "3", "1e400", "\ud800", ID, "https://media.example/a.mp3"])
    | st.just(10**400)
)
names = st.sampled_from(
    [
        *("_id", "status", "video_status", "video", "external_video", "url", "preview", "result"),
        *("list", "count", "size", "code", "data", "token", "credit", "avatar_id", "voice_id"),
        *("from", "type", "create_time", "duration", "deduction_credit", "deduction_duration"),
        *("deduction_lock_duration", "error_code", "error_reason", "error_reasons", "msg"),
        *("style", "age", "gender", "name"),
    ]
)
json_values = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(names | st.text(max_size=3), inner, max_size=8)
    ),
    max_leaves=25,
)

READERS: dict[str, Callable[[Any], Any]] = {
    "avatar": parsing.avatar,
    "voice": parsing.voice,
    "audio": lambda data: parsing.audio(data, audio_id=ID),
    "video": lambda data: parsing.video(data, video_id=ID),
    "created_audio": parsing.created_audio,
    "created_video": parsing.created_video,
    "created_voice": parsing.created_voice,
    "created_avatar": lambda data: parsing.created_avatar(data, avatar_id="Me"),
    "credit": parsing.credit,
    "page": parsing.page,
    "token": lambda data: parsing.token(data if isinstance(data, dict) else {"token": data}),
    "avatars": lambda data: parsing.avatars(parsing.page(data).items, source=None),
    "voices": lambda data: parsing.voices(parsing.page(data).items, is_own=None),
}


def plain_values(model: Any) -> list[Any]:
    """What a model says of itself, apart from AKOOL's own record."""
    if isinstance(model, list):
        return [value for inner in model for value in plain_values(inner)]
    if not is_dataclass(model) or isinstance(model, parsing.Page):
        return []
    own = [getattr(model, field.name) for field in fields(model) if field.name != "raw"]
    return [value for value in own if value != ""]


@pytest.mark.parametrize("name", READERS)
@given(data=json_values)
def test_any_json_is_read_or_refused(name: str, data: Any):
    before = copy.deepcopy(data)
    try:
        model = READERS[name](data)
    except UnexpectedShape:
        return
    finally:
        assert repr(data) == repr(before)
    for value in plain_values(model):
        assert not isinstance(value, float) or math.isfinite(value)
        assert not isinstance(value, str) or value.encode()
    assert repr(pickle.loads(pickle.dumps(model))) == repr(model)


@given(data=st.dictionaries(names, json_values, max_size=8))
def test_a_create_with_an_id_is_always_read(data: dict[str, Any]):
    assert parsing.created_video({**data, "_id": ID}).id == ID
    assert parsing.created_audio({**data, "_id": ID}).id == ID
    assert parsing.created_voice({**data, "_id": ID}).record_id == ID
    assert parsing.created_avatar({**data, "_id": ID}, avatar_id="Me").record_id == ID


@given(status=st.integers() | st.floats() | st.text(max_size=3) | st.none() | st.booleans())
def test_only_the_four_known_numbers_are_a_status(status: Any):
    known = not isinstance(status, bool) and str(status).strip().removesuffix(".0") in set("1234")
    try:
        parsing.video({"_id": ID, "video_status": status}, video_id=ID)
    except UnexpectedShape:
        assert not known or isinstance(status, str)
    else:
        assert float(status) in (1, 2, 3, 4)


# --- videos --------------------------------------------------------------------------------------


def video(**given_fields: Any) -> Any:
    return parsing.video({"_id": ID, "video_status": 3, **given_fields}, video_id=ID)


def test_a_finished_video():
    read = video(
        video="https://media.example/out.mp4",
        deduction_duration=10,
        deduction_lock_duration="20",
        create_time=1732844763774,
    )
    assert (read.id, read.status, read.failure) == (ID, Status.COMPLETED, None)
    assert read.url == "https://media.example/out.mp4"
    assert (read.deducted_credits, read.locked_credits) == (10.0, 20.0)
    assert read.created_at == datetime(2024, 11, 29, 1, 46, 3, 774000, tzinfo=timezone.utc)
    assert read.raw["deduction_lock_duration"] == "20"


def test_the_result_falls_back_but_never_to_the_input():
    link = "https://media.example/out.mp4"
    assert video(video="", external_video=link).url == link
    assert video(video="", video_url=link, url=link).url is None
    assert video(video=link, video_status=2).url is None
    assert video(video=link, video_status=4).url is None


def test_credits_of_zero_are_known():
    assert video(deduction_duration=0, deduction_credit=5).deducted_credits == 0.0
    assert video(deduction_credit=1.9295).deducted_credits == 1.9295
    assert video().deducted_credits is None


@pytest.mark.parametrize("status", [3, "3", 3.0])
def test_the_status_may_be_text_or_a_fraction(status: object):
    assert video(video_status=status).status is Status.COMPLETED


@pytest.mark.parametrize("value", [10**400, "1e400", float("nan"), float("inf"), True, "", [1]])
def test_a_number_that_is_none_is_unknown(value: object):
    assert video(deduction_duration=value).deducted_credits is None


def test_half_a_surrogate_pair_cannot_spoil_a_file():
    link = video(video="https://media.example/\ud800.mp4").url
    assert link is not None
    assert link.encode() == b"https://media.example/?.mp4"


def test_the_status_may_have_its_other_name():
    assert parsing.video({"_id": ID, "status": 2}, video_id=ID).status is Status.PROCESSING


@pytest.mark.parametrize("status", [0, 5, -1, 2.5, None, True, "done", "", [3], {}])
def test_an_unknown_status_is_never_guessed(status: object):
    with pytest.raises(UnexpectedShape, match="video_status"):
        video(video_status=status)


FAILURES = [
    ({"error_reason": "a", "faceswap_fail_reason": "b"}, "a"),
    ({"error_reason": "", "faceswap_fail_reason": "b", "error_msg": "c"}, "b"),
    ({"error_msg": "c", "error_message": "d"}, "c"),
    ({"error_message": "d", "msg": "f"}, "d"),
    ({"error_reasons": ["e", None, "e2"], "msg": "f"}, "e; e2"),
    ({"msg": "f"}, "f"),
    ({"error_reason": None, "error_reasons": []}, NO_REASON),
    ({}, NO_REASON),
]


@pytest.mark.parametrize(("fields", "reason"), FAILURES)
def test_the_reason_of_a_failure(fields: dict[str, Any], reason: str):
    assert video(video_status=4, **fields).failure == Failure(code=None, reason=reason)


def test_the_code_of_a_failure():
    failed = video(video_status=4, error_code=1205, error_reason="create video error")
    assert failed.failure == Failure(code=1205, reason="create video error")
    assert video(error_code=1205, error_reason="x").failure is None


@pytest.mark.parametrize("wrap", [lambda r: r, lambda r: [r], lambda r: {"result": r}])
def test_a_record_may_be_wrapped(wrap: Callable[[Any], Any]):
    record = {"_id": ID, "video_status": 1, "status": 1}
    assert parsing.video(wrap(record), video_id=ID).status is Status.QUEUED
    assert parsing.created_video(wrap(record)).id == ID


@pytest.mark.parametrize("data", [None, {}, [], "", [{}], [None], {"result": []}])
def test_empty_data_is_no_record(data: object):
    with pytest.raises(NoRecord):
        parsing.video(data, video_id=ID)


def test_another_id_is_refused_and_a_missing_one_is_not():
    with pytest.raises(UnexpectedShape, match="got other"):
        parsing.video({"_id": "other", "video_status": 3}, video_id=ID)
    with pytest.raises(UnexpectedShape, match="got other"):
        parsing.audio({"_id": "other", "status": 3}, audio_id=ID)
    assert parsing.video({"video_status": 1}, video_id=ID).id == ID


@pytest.mark.parametrize("time", [0, "", None, "soon", 10**30, -(10**30), float("nan")])
def test_an_odd_time_is_unknown(time: object):
    assert video(create_time=time).created_at is None


# --- audio ---------------------------------------------------------------------------------------


def test_speech_v3_and_v4():
    link = "https://media.example/t.mp3"
    v3 = parsing.audio({"_id": ID, "status": 3, "url": link}, audio_id=ID)
    assert (v3.url, v3.duration_seconds, v3.deduction_credit) == (link, None, None)
    record = {"_id": ID, "status": 3, "preview": link, "duration": 12852, "deduction_credit": 1.9}
    v4 = parsing.audio({"result": record}, audio_id=ID)
    assert (v4.url, v4.duration_seconds, v4.deduction_credit) == (link, 12.852, 1.9)


def test_speech_that_is_not_finished_has_no_link_or_length():
    record = {"_id": ID, "status": 1, "preview": None, "url": "https://x.example", "duration": 0}
    created = parsing.created_audio(record)
    assert (created.status, created.url, created.duration_seconds) == (Status.QUEUED, None, None)


def test_failed_speech():
    failed = parsing.audio({"_id": ID, "status": 4}, audio_id=ID)
    assert failed.failure == Failure(code=None, reason=NO_REASON)


# --- avatars and voices --------------------------------------------------------------------------


def test_an_avatar_with_the_six_fields_of_the_talking_avatar_page():
    item = {
        "name": "Jane",
        "avatar_id": "Jane_in_Blue_2024",
        "url": "https://media.example/j.png",
        "gender": "Female",
        "thumbnailUrl": "https://media.example/jt.png",
        "from": 2,
    }
    (jane,) = parsing.avatars([item], source=None)
    assert (jane.avatar_id, jane.source, jane.gender) == (
        "Jane_in_Blue_2024",
        AvatarSource.OFFICIAL,
        "female",
    )
    assert (jane.status, jane.kind, jane.record_id) == (None, None, None)
    assert jane.is_usable


@pytest.mark.parametrize(
    ("source", "status", "usable"),
    [(2, 1, True), (7, 2, True), (3, 1, False), (3, None, False), (3, 4, False), (3, 3, True)],
)
def test_only_own_avatars_must_be_finished(source: int, status: int | None, usable: bool):
    item = {"avatar_id": "a", "from": source, "status": status, "type": "1"}
    (avatar,) = parsing.avatars([item], source=None)
    assert avatar.is_usable is usable
    assert avatar.kind is AvatarKind.TALKING


def test_what_was_asked_for_fills_a_missing_source():
    (avatar,) = parsing.avatars([{"avatar_id": "a"}], source=AvatarSource.OWN)
    assert avatar.source is AvatarSource.OWN
    (other,) = parsing.avatars([{"avatar_id": "a", "from": 99}], source=None)
    assert other.source is None


def test_malformed_items_are_left_out():
    items = [{"name": "no id"}, None, 5, "x", [], {"avatar_id": None}, {"avatar_id": "good"}]
    assert [avatar.avatar_id for avatar in parsing.avatars(items, source=None)] == ["good"]
    items = [{"name": "no id"}, None, {"voice_id": 5}, {"voice_id": "good"}]
    assert [voice.voice_id for voice in parsing.voices(items, is_own=None)] == ["good"]


def test_an_uploaded_avatar():
    data = [{"_id": ID, "type": 1, "from": 3, "status": 2, "name": "Me"}]
    detail = parsing.avatar(data)
    assert (detail.record_id, detail.avatar_id, detail.status) == (ID, "", Status.PROCESSING)
    created = parsing.created_avatar(data[0], avatar_id="Me01")
    assert (created.avatar_id, created.source) == ("Me01", AvatarSource.OWN)


def test_voices_of_both_generations():
    v3 = {"voice_id": "a", "from": 4, "gender": "Female", "accent": "British", "useCase": "news"}
    (own,) = parsing.voices([v3], is_own=None)
    assert (own.is_own, own.gender, own.accent, own.scenarios) == (
        True,
        "female",
        "British",
        ("news",),
    )
    (official,) = parsing.voices([{**v3, "from": 3}], is_own=None)
    assert official.is_own is False
    v4 = {"voice_id": "b", "_id": ID, "style": ["calm", "warm"], "age": ["young"], "status": 3}
    (voice,) = parsing.voices([v4], is_own=False)
    assert (voice.is_own, voice.styles, voice.ages) == (False, ("calm", "warm"), ("young",))


def test_a_voice_being_cloned():
    voice = parsing.voice({"_id": ID, "voice_id": None, "status": 1})
    assert (voice.voice_id, voice.record_id, voice.status) == ("", ID, Status.QUEUED)


@pytest.mark.parametrize(
    ("data", "total", "size"),
    [
        ([{"a": 1}], None, None),
        ({"result": [{"a": 1}], "count": 7, "size": "10"}, 7, 10),
        ({"list": [{"a": 1}]}, None, None),
    ],
)
def test_a_page_in_each_shape(data: object, total: int | None, size: int | None):
    assert parsing.page(data) == parsing.Page(({"a": 1},), total, size)


def test_an_empty_page():
    assert parsing.page([]).items == ()
    assert parsing.page({"result": None}).items == ()


@pytest.mark.parametrize("data", [None, {}, "x", 5, {"result": {"a": 1}}])
def test_what_is_no_page(data: object):
    with pytest.raises(UnexpectedShape, match="array"):
        parsing.page(data)


@pytest.mark.parametrize("data", [None, {}, {"credit": None}, {"credit": "much"}, [5]])
def test_a_balance_without_a_number(data: object):
    with pytest.raises(UnexpectedShape, match="credit"):
        parsing.credit(data)
