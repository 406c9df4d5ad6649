"""The bodies that AKOOL's pages show, from requests that mean the same."""

from typing import Any

import pytest

from akool_dagster.akool import (
    AvatarKind,
    AvatarSource,
    AvatarUpload,
    ClonedSpeechRequest,
    LinkedAvatar,
    ListedAvatar,
    SpeechRequest,
    VideoRequest,
    VoiceCloneRequest,
    payloads,
)

JANE = ListedAvatar("Jane_in_Blue_2024", AvatarSource.OFFICIAL)
AUDIO = "https://media.example/a.mp3"


def video(**options: Any) -> VideoRequest:
    return VideoRequest(**{"avatar": JANE, "audio_url": AUDIO, "audio_seconds": 5.0, **options})


def test_talking_avatar_with_colour():
    request = video(background="#ffffff", webhook_url="https://hooks.example/akool/item-42")
    centre = {"scale_x": 1, "scale_y": 1, "offset_x": 1920, "offset_y": 1080}
    assert payloads.talking_avatar(request) == {
        "width": 3840,
        "height": 2160,
        "avatar_from": 2,
        "webhookUrl": "https://hooks.example/akool/item-42",
        "elements": [
            {"type": "image", "url": "#ffffff", "width": 3840, "height": 2160, **centre},
            {
                "type": "avatar",
                "avatar_id": "Jane_in_Blue_2024",
                "width": 2160,
                "height": 2160,
                **centre,
            },
            {"type": "audio", "url": AUDIO},
        ],
    }


def test_talking_avatar_with_a_link_fills_the_canvas():
    request = video(avatar=LinkedAvatar("https://media.example/me.png"), width=1080, height=1920)
    payload = payloads.talking_avatar(request)
    assert (payload["avatar_from"], payload["webhookUrl"]) == (3, "")
    assert payload["elements"] == [
        {
            "type": "avatar",
            "url": "https://media.example/me.png",
            "width": 1080,
            "height": 1920,
            "scale_x": 1,
            "scale_y": 1,
            "offset_x": 540,
            "offset_y": 960,
        },
        {"type": "audio", "url": AUDIO},
    ]


def test_a_listed_avatar_fits_an_upright_canvas():
    avatar = payloads.talking_avatar(video(width=1080, height=1920))["elements"][0]
    assert (avatar["width"], avatar["height"]) == (1080, 1080)
    assert (avatar["offset_x"], avatar["offset_y"]) == (540, 960)


@pytest.mark.parametrize("source", AvatarSource)
def test_the_source_of_the_avatar_is_passed_on(source: AvatarSource):
    request = video(avatar=ListedAvatar("a", source))
    assert payloads.talking_avatar(request)["avatar_from"] == int(source)
    assert payloads.create_video(request)["data"][0]["avatarFrom"] == int(source)


def test_create_video_with_colour():
    centre = {"scale_x": 1, "scale_y": 1, "offset_x": 960, "offset_y": 540}
    assert payloads.create_video(video(audio_seconds=18.93875, background="#00ff00")) == {
        "data": [
            {
                "width": 1920,
                "height": 1080,
                "duration": 18938.75,
                "ratio": "16:9",
                "voice": {"voice_url": AUDIO},
                "background": "#00ff00",
                "avatarFrom": 2,
                "elements": [
                    {
                        "id": "avatar",
                        "type": "avatar",
                        "avatar_id": "Jane_in_Blue_2024",
                        "layer_number": 2,
                        **centre,
                    }
                ],
            }
        ],
        "duration": 18938.75,
        "webhookUrl": "",
    }


def test_create_video_with_a_picture_behind_a_link():
    request = video(
        avatar=LinkedAvatar("https://media.example/me.mp4"),
        background="https://media.example/room.png",
        width=1080,
        height=1920,
    )
    scene = payloads.create_video(request)["data"][0]
    assert (scene["ratio"], scene["avatarFrom"]) == ("9:16", 3)
    assert "background" not in scene
    assert [
        (element["type"], element["url"], element["layer_number"]) for element in scene["elements"]
    ] == [
        ("image", "https://media.example/room.png", 1),
        ("avatar", "https://media.example/me.mp4", 2),
    ]


def test_speech_v3():
    request = SpeechRequest(text="Hello.", voice_id="v", language="en", webhook_url="https://h.ex/")
    assert payloads.speech_v3(request) == {
        "input_text": "Hello.",
        "voice_id": "v",
        "rate": "100%",
        "webhookUrl": "https://h.ex/",
    }


def test_speech_v4():
    plain = payloads.speech_v4(SpeechRequest(text="Hello.", voice_id="v"))
    assert plain == {"input_text": "Hello.", "voice_id": "v", "webhookUrl": ""}
    full = SpeechRequest(text="Hello.", voice_id="v", rate_percent=85, language="de")
    assert payloads.speech_v4(full) == {
        **plain,
        "language_code": "de",
        "voice_options": {"speed": 0.85},
    }


def test_cloned_speech():
    request = ClonedSpeechRequest(text="Hi", sample_url="https://m.ex/s.mp3", rate_percent=90)
    assert payloads.cloned_speech_v3(request) == {
        "input_text": "Hi",
        "voice_url": "https://m.ex/s.mp3",
        "rate": "90%",
        "webhookUrl": "",
    }


@pytest.mark.parametrize(
    ("build", "allowed", "forbidden"),
    [
        (payloads.speech_v3, [0, 1, 100], [-1, 101, 120]),
        (payloads.speech_v4, [70, 100, 120], [0, 69, 121]),
    ],
)
def test_rates_that_the_chosen_api_cannot_speak(build, allowed, forbidden):
    for rate in allowed:
        build(SpeechRequest(text="x", voice_id="v", rate_percent=rate))
    for rate in forbidden:
        with pytest.raises(payloads.Inexpressible, match=f"rate_percent is {rate}"):
            build(SpeechRequest(text="x", voice_id="v", rate_percent=rate))


def test_voice_clone():
    request = VoiceCloneRequest(sample_url="https://m.ex/s.mp3", name="Me")
    plain = {"source_voice_file": "https://m.ex/s.mp3", "name": "Me", "webhookUrl": ""}
    assert payloads.voice_clone(request) == plain
    full = VoiceCloneRequest(
        sample_url="https://m.ex/s.mp3",
        name="Me",
        model="Akool Multilingual 3",
        language="en",
        remove_background_noise=False,
    )
    assert payloads.voice_clone(full) == {
        **plain,
        "voice_model_name": "Akool Multilingual 3",
        "voice_options": {"language": "en", "remove_background_noise": False},
    }


def test_avatar_upload():
    request = AvatarUpload(
        url="https://youtu.be/x",
        avatar_id="Me01",
        name="Me",
        kind=AvatarKind.STREAMING,
        is_platform_link=True,
    )
    assert payloads.avatar_upload(request) == {
        "url": "https://youtu.be/x",
        "avatar_id": "Me01",
        "name": "Me",
        "type": 2,
        "url_from": 2,
    }


@pytest.mark.parametrize(
    "make",
    [
        lambda: SpeechRequest(text=" ", voice_id="v"),
        lambda: SpeechRequest(text="x", voice_id=""),
        lambda: ClonedSpeechRequest(text="x", sample_url="\n"),
        lambda: ListedAvatar("", AvatarSource.OWN),
        lambda: LinkedAvatar(""),
        lambda: VoiceCloneRequest(sample_url="", name="x"),
        lambda: video(audio_url=""),
        lambda: video(audio_seconds=0),
        lambda: video(audio_seconds=float("nan")),
        lambda: video(audio_seconds=float("inf")),
        lambda: video(width=-1),
        lambda: AvatarUpload(url="https://m.ex/a.mp4", avatar_id="no spaces", name="x"),
        lambda: AvatarUpload(url="https://m.ex/a.mp4", avatar_id="ü", name="x"),
        lambda: AvatarUpload(url="https://m.ex/a.mp4", avatar_id="", name="x"),
    ],
)
def test_requests_that_cannot_be_meant(make):
    with pytest.raises(ValueError, match=r"blank|positive|letters"):
        make()
