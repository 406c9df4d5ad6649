"""Each method asks the documented question and reads the documented answer."""

import logging

import pytest
from werkzeug import Request, Response

from akool_dagster.akool import (
    AkoolClient,
    ApiKey,
    AvatarKind,
    AvatarSource,
    AvatarUpload,
    ClonedSpeechRequest,
    ItemRefused,
    ListedAvatar,
    SpeechRequest,
    Status,
    Timeouts,
    UnexpectedAnswer,
    VideoRequest,
    VoiceCloneRequest,
)
from akool_dagster_tests.akool.conftest import (
    VIDEO_ID,
    Akool,
    MakeClient,
    ok,
    refused,
    reply,
)

AVATARS = "/api/open/v3/avatar/list"
ID = "686300000000000000000001"


def test_balance(akool: Akool, make_client: MakeClient):
    akool.answers("/api/open/v3/faceswap/quota/info", ok({"credit": 1234}))
    assert make_client(akool.url).balance() == 1234.0


@pytest.mark.parametrize("wrapped", [True, False])
def test_list_avatars_reads_all_pages(wrapped: bool, akool: Akool, make_client: MakeClient):
    items = [{"avatar_id": f"a{n}", "from": 2, "status": 1} for n in range(230)]

    def answer(request: Request) -> Response:
        page, size = int(request.args["page"]), int(request.args["size"])
        part = items[(page - 1) * size : page * size]
        return reply(ok({"result": part, "count": len(items)} if wrapped else part))

    akool.answers(AVATARS, answer)
    avatars = make_client(akool.url).list_avatars()
    assert [avatar.avatar_id for avatar in avatars] == [f"a{n}" for n in range(230)]
    assert [dict(request.args) for request in akool.asked] == [
        {"type": "1", "page": str(n), "size": "100"} for n in (1, 2, 3)
    ]


@pytest.mark.parametrize(
    ("options", "query"),
    [
        ({"source": AvatarSource.OWN}, {"from": "3", "type": "1"}),
        ({"kind": None}, {}),
        (
            {"source": AvatarSource.OFFICIAL, "kind": AvatarKind.STREAMING},
            {"from": "2", "type": "2"},
        ),
    ],
)
def test_list_avatars_filters(
    options: dict, query: dict[str, str], akool: Akool, make_client: MakeClient
):
    akool.answers(AVATARS, ok([]))
    assert make_client(akool.url).list_avatars(**options) == []
    assert dict(akool.asked[0].args) == {**query, "page": "1", "size": "100"}


def test_dropped_items_are_counted_in_one_log_line(
    akool: Akool, make_client: MakeClient, caplog: pytest.LogCaptureFixture
):
    akool.answers(AVATARS, ok([{"avatar_id": "a"}, {"name": "x"}, None, {"avatar_id": "a"}]))
    with caplog.at_level(logging.INFO, logger="akool_dagster.akool"):
        assert len(make_client(akool.url).list_avatars()) == 1
    lines = [line.getMessage() for line in caplog.records if line.name == "akool_dagster.akool"]
    assert lines == [f"GET {AVATARS}: left out 2 items without avatar_id"]


@pytest.mark.parametrize("wrap", [lambda record: record, lambda record: [record]])
def test_avatar_detail(wrap, akool: Akool, make_client: MakeClient):
    akool.answers("/api/open/v3/avatar/detail", ok(wrap({"_id": ID, "from": 3, "status": 2})))
    avatar = make_client(akool.url).avatar_detail(ID)
    assert (avatar.record_id, avatar.status) == (ID, Status.PROCESSING)
    assert dict(akool.asked[0].args) == {"id": ID}


def test_list_voices_v3(akool: Akool, make_client: MakeClient):
    items = [{"voice_id": "a", "from": 3}, {"voice_id": "b", "from": 4}, {"voice_id": "a"}]
    akool.answers("/api/open/v3/voice/list", ok(items))
    voices = make_client(akool.url).list_voices("v3")
    assert [(voice.voice_id, voice.is_own) for voice in voices] == [("a", False), ("b", True)]
    assert [dict(request.args) for request in akool.asked] == [{}]


def test_list_voices_v4(akool: Akool, make_client: MakeClient):
    def answer(request: Request) -> Response:
        kind, page = request.args["type"], int(request.args["page"])
        start = (page - 1) * 10  # this server's pages hold ten at most
        items = [{"voice_id": f"{kind}-{n}"} for n in range(15)][start : start + 10]
        return reply(ok({"result": items, "count": 15, "page": page, "size": 10}))

    akool.answers("/api/open/v4/voice/list", answer)
    voices = make_client(akool.url).list_voices("v4")
    assert [(voice.voice_id, voice.is_own) for voice in voices] == [
        *((f"2-{n}", False) for n in range(15)),
        *((f"1-{n}", True) for n in range(15)),
    ]


def test_get_voice(akool: Akool, make_client: MakeClient):
    akool.answers(f"/api/open/v4/voice/detail/{ID}", ok({"_id": ID, "status": 3, "voice_id": "v"}))
    assert make_client(akool.url).get_voice(ID).voice_id == "v"


@pytest.mark.parametrize(
    ("api", "path", "query"),
    [
        ("v3", "/api/open/v3/audio/infobymodelid", {"audio_model_id": ID}),
        ("v4", f"/api/open/v4/voice/resource/detail/{ID}", {}),
    ],
)
def test_get_audio(api, path: str, query: dict[str, str], akool: Akool, make_client: MakeClient):
    record = {"_id": ID, "status": 3, "url" if api == "v3" else "preview": "https://m.ex/a.mp3"}
    akool.answers(path, ok(record if api == "v3" else {"result": record}))
    audio = make_client(akool.url).get_audio(ID, api=api)
    assert (audio.status, audio.url) == (Status.COMPLETED, "https://m.ex/a.mp3")
    assert dict(akool.asked[0].args) == query


def test_an_id_cannot_leave_its_place_in_the_path(akool: Akool, make_client: MakeClient):
    path = "/api/open/v4/voice/resource/detail/a/../b?c"
    akool.answers(path, ok({"status": 1}))
    assert make_client(akool.url).get_audio("a/../b?c", api="v4").status is Status.QUEUED
    assert akool.asked[0].environ["REQUEST_URI"].endswith("/detail/a%2F..%2Fb%3Fc")


def test_get_video_info(akool: Akool, make_client: MakeClient):
    data = {"_id": VIDEO_ID, "video_status": 4, "error_code": 1205, "error_reason": "no face"}
    akool.answers("/api/open/v3/content/video/infobymodelid", ok(data))
    video = make_client(akool.url).get_video_info(VIDEO_ID)
    assert video.status is Status.FAILED
    assert video.status.is_final
    assert video.failure is not None
    assert (video.failure.code, video.failure.reason) == (1205, "no face")
    assert dict(akool.asked[0].args) == {"video_model_id": VIDEO_ID}


@pytest.mark.parametrize(
    ("api", "path", "rate"),
    [
        ("v3", "/api/open/v3/audio/create", {"rate": "90%"}),
        ("v4", "/api/open/v4/voice/tts", {"voice_options": {"speed": 0.9}}),
    ],
)
def test_create_speech(api, path: str, rate: dict, akool: Akool, make_client: MakeClient):
    akool.answers(path, ok({"_id": ID, "status": 1, "deduction_credit": 0.03}))
    request = SpeechRequest(text='Hello "you", 你好', voice_id="v", rate_percent=90)
    audio = make_client(akool.url).create_speech(request, api=api)
    assert (audio.id, audio.status, audio.deduction_credit) == (ID, Status.QUEUED, 0.03)
    assert akool.body() == {
        "input_text": 'Hello "you", 你好',
        "voice_id": "v",
        "webhookUrl": "",
        **rate,
    }


def test_a_rate_that_cannot_be_said_is_not_sent(akool: Akool, make_client: MakeClient):
    akool.answers("/api/open/v3/audio/create", ok({"_id": ID}))
    request = SpeechRequest(text="Hello", voice_id="v", rate_percent=120)
    with pytest.raises(ItemRefused, match="rate_percent is 120") as caught:
        make_client(akool.url).create_speech(request, api="v3")
    assert caught.value.may_have_charged is False
    assert akool.asked == []


def test_create_cloned_speech(akool: Akool, make_client: MakeClient):
    akool.answers("/api/open/v3/audio/clone", ok({"_id": ID, "status": 3, "url": "https://m.ex/a"}))
    request = ClonedSpeechRequest(text="Hi", sample_url="https://m.ex/s.mp3")
    audio = make_client(akool.url).create_cloned_speech(request)
    assert (audio.status, audio.url) == (Status.COMPLETED, "https://m.ex/a")


@pytest.mark.parametrize(
    ("api", "path"),
    [
        ("talkingavatar", "/api/open/v3/talkingavatar/create"),
        ("avatar", "/api/open/v3/avatar/createVideo"),
    ],
)
def test_create_video(api, path: str, akool: Akool, make_client: MakeClient):
    akool.answers(path, ok({"_id": VIDEO_ID, "video_status": 1, "deduction_lock_duration": 10}))
    request = VideoRequest(
        avatar=ListedAvatar("Jane", AvatarSource.OFFICIAL),
        audio_url="https://m.ex/a.mp3",
        audio_seconds=5,
    )
    video = make_client(akool.url).create_video(request, api=api)
    assert (video.id, video.locked_credits) == (VIDEO_ID, 10.0)
    assert "Jane" in str(akool.body())


def test_delete_voices_tells_which_are_gone(akool: Akool, make_client: MakeClient):
    path = "/api/open/v4/voice/del"
    refusals = [{"_id": "b", "msg": "No permission"}, "odd", {"_id": None}]
    akool.answers(path, ok({"successIds": ["a", "z"], "noPermissionVoices": refusals}))
    answer = make_client(akool.url).delete_voices(["a", "b", "c"])
    assert akool.body() == {"_ids": ["a", "b", "c"]}
    assert answer.deleted == {"a"}
    assert answer.kept == {"b": "No permission", "c": "AKOOL gave no reason."}


def test_delete_voices_may_be_sent_again(akool: Akool, make_client: MakeClient):
    gateway = reply("<html>", status=502)
    done = ok({"successIds": [], "noPermissionVoices": [{"_id": "a", "msg": "gone"}]})
    akool.answers("/api/open/v4/voice/del", gateway, done)
    assert make_client(akool.url).delete_voices(["a"]).kept == {"a": "gone"}
    assert len(akool.asked) == 2


@pytest.mark.parametrize("data", [None, [], {}, {"successIds": None}, {"successIds": "a"}])
def test_a_deletion_that_is_not_understood_is_no_success(
    data: object, akool: Akool, make_client: MakeClient
):
    akool.answers("/api/open/v4/voice/del", ok(data))
    with pytest.raises(UnexpectedAnswer):
        make_client(akool.url).delete_voices(["a"])


def test_delete_voices_needs_a_voice(make_client: MakeClient):
    with pytest.raises(ValueError, match="record_ids is empty"):
        make_client("http://127.0.0.1:9").delete_voices([])


def test_create_voice_clone(akool: Akool, make_client: MakeClient):
    akool.answers("/api/open/v4/voice/clone", ok({"_id": ID, "status": 1, "voice_id": None}))
    request = VoiceCloneRequest(sample_url="https://m.ex/s.mp3", name="Me")
    voice = make_client(akool.url).create_voice_clone(request)
    assert (voice.record_id, voice.voice_id, voice.is_own) == (ID, "", True)


def test_create_avatar(akool: Akool, make_client: MakeClient):
    akool.answers("/api/open/v3/avatar/create", ok([{"_id": ID, "status": 1}]))
    upload = AvatarUpload(url="https://m.ex/me.mp4", avatar_id="Me01", name="Me")
    avatar = make_client(akool.url).create_avatar(upload)
    assert (avatar.record_id, avatar.avatar_id, avatar.status) == (ID, "Me01", Status.QUEUED)
    assert not avatar.is_usable


def test_an_unknown_api_is_refused_before_anything_is_sent(akool: Akool, make_client: MakeClient):
    client = make_client(akool.url)
    with pytest.raises(KeyError, match="v5"):
        client.create_speech(SpeechRequest(text="x", voice_id="v"), api="v5")  # type: ignore[arg-type]
    assert akool.asked == []


def test_a_base_url_may_have_a_path_and_a_slash(akool: Akool, make_client: MakeClient):
    akool.answers("/mirror/api/open/v3/faceswap/quota/info", ok({"credit": 1}))
    assert make_client(f"{akool.url}/mirror/").balance() == 1.0


def test_a_proxy_of_the_environment_is_used(
    akool: Akool, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
):
    akool.answers("/api/open/v3/faceswap/quota/info", ok({"credit": 1}))
    monkeypatch.setenv("HTTP_PROXY", akool.url)
    assert make_client("http://openapi.akool.example").balance() == 1.0
    assert akool.asked[0].headers["Host"] == "openapi.akool.example"


@pytest.mark.parametrize("url", ["", "openapi.akool.com", "ftp://akool.example", "https://"])
def test_a_base_url_that_is_none(url: str):
    with pytest.raises(ValueError, match="base_url is"):
        AkoolClient(ApiKey("k"), base_url=url)


def test_numbers_that_make_no_sense():
    with pytest.raises(ValueError, match="pool_size is 0"):
        AkoolClient(ApiKey("k"), pool_size=0)
    with pytest.raises(ValueError, match="read_seconds is 0"):
        Timeouts(read_seconds=0)


def test_the_default_is_akool_itself():
    with AkoolClient(ApiKey("k")) as client:
        assert repr(client) == "AkoolClient(base_url='https://openapi.akool.com')"


def test_a_closed_client_has_left_nothing_open(akool: Akool, make_client: MakeClient):
    # An unclosed socket would be a ResourceWarning, which the test run turns into an error.
    akool.answers("/api/open/v3/faceswap/quota/info", ok({"credit": 1}), refused(1003))
    with make_client(akool.url) as client:
        client.balance()
        with pytest.raises(ItemRefused):
            client.balance()
