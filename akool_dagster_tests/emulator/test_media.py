"""The files that the emulator delivers, decoded by an independent reader."""

import io
import subprocess
import sys
import threading
import time
from pathlib import Path

import av
import pytest
import requests
from PIL import Image

from akool_dagster.emulator.catalog import official_voices
from akool_dagster.emulator.media.audio_files import AudioFormat, read_audio, write_audio
from akool_dagster.emulator.media.fonts import drawable
from akool_dagster.emulator.media.languages import spoken_language
from akool_dagster.emulator.media.library import MediaLibrary
from akool_dagster.emulator.media.pictures import Portrait, Scene, draw_scene, draw_subtitle
from akool_dagster.emulator.media.speech import Speech, _tones, can_speak, speak
from akool_dagster.emulator.media.videos import subtitles
from akool_dagster_tests.emulator.api import WAIT, Api

WEEK = 7 * 86_400
TEXT = "Welcome to the emulator. This sentence is spoken for a few seconds, and then it ends."


def fetched(link: str) -> bytes:
    answer = requests.get(link, timeout=WAIT)
    assert answer.status_code == 200
    return answer.content


def length(content: bytes, kind: str) -> float:
    """Seconds of one stream, by decoding every frame."""
    with av.open(io.BytesIO(content)) as container:
        stream = getattr(container.streams, kind)[0]
        frames = list(container.decode(stream))
        if kind == "audio":
            return sum(frame.samples for frame in frames) / stream.rate
        step = frames[1].time - frames[0].time
        return frames[-1].time + step


def middle_picture(content: bytes) -> Image.Image:
    with av.open(io.BytesIO(content)) as container:
        frames = list(container.decode(video=0))
    return frames[len(frames) // 2].to_image()


def near(picture: Image.Image, at: tuple[int, int], colour: str) -> bool:
    wanted = Image.new("RGB", (1, 1), colour).getpixel((0, 0))
    found = picture.getpixel(at)
    return all(abs(a - b) < 30 for a, b in zip(found, wanted, strict=True))  # type: ignore[arg-type]


def test_audio_decodes_and_is_as_long_as_it_says(api: Api) -> None:
    made = api.tts(TEXT)["data"]["_id"]
    api.akool.emulator.clock.advance(100)
    done = api.get(f"/v4/voice/resource/detail/{made}")["data"]["result"]
    assert length(fetched(done["preview"]), "audio") == pytest.approx(
        done["duration"] / 1000, rel=0.02
    )


@pytest.mark.parametrize(("container", "channels"), [("mp3", 1), ("wav", 2)])
def test_the_audio_setting_is_followed(api: Api, container: str, channels: int) -> None:
    setting = {"format": container, "sample_rate": 16_000, "channel": channels}
    link = api.audio_link(TEXT, extra_options={"audio_setting": setting})
    assert link.endswith(container)
    with av.open(io.BytesIO(fetched(link))) as opened:
        stream = opened.streams.audio[0]
        assert (stream.rate, stream.channels) == (16_000, channels)


def test_a_video_is_h264_and_aac_as_long_as_its_audio_with_its_index_first(api: Api) -> None:
    link = api.audio_link(TEXT)
    audio = fetched(link)
    content = fetched(api.finished(api.video_id(audio=link))["video"])
    with av.open(io.BytesIO(content)) as container:
        video, sound = container.streams.video[0], container.streams.audio[0]
        assert (video.codec_context.name, sound.codec_context.name) == ("h264", "aac")
        assert (video.codec_context.pix_fmt, video.width, video.height) == ("yuv420p", 640, 360)
        whole = container.duration / 1e6  # type: ignore[operator]
    spoken = length(audio, "audio")
    assert whole == pytest.approx(spoken, rel=0.02)
    assert length(content, "video") == pytest.approx(spoken, rel=0.02)
    assert content.index(b"moov") < content.index(b"mdat")


@pytest.mark.parametrize("text", ["Hi.", TEXT * 4])
def test_short_and_long_texts_too(api: Api, text: str) -> None:
    video_id = api.video_id(text=text)
    (job,) = api.akool.emulator.jobs("video")
    content = fetched(api.finished(video_id)["video"])
    assert length(content, "video") == pytest.approx(job.seconds, rel=0.02)


def test_the_shape_follows_the_size(start) -> None:
    api: Api = start(strict_sizes=False)
    place = {"width": 1080, "height": 1920, "offset_x": 540, "offset_y": 960}
    elements = [
        {"type": "avatar", "avatar_id": "Jane_in_Blue_2024", **place},
        {"type": "audio", "input_text": "Hi.", "voice_id": "Emma_en-US"},
    ]
    video_id = api.video_id(width=1080, height=1920, elements=elements)
    assert middle_picture(fetched(api.finished(video_id)["video"])).size == (360, 640)


def test_background_avatar_and_script_are_to_be_seen(api: Api, site) -> None:
    red = io.BytesIO()
    Image.new("RGB", (200, 200), "#c02020").save(red, "PNG")
    site.files["/red.png"] = red.getvalue()
    place = {"scale_x": 1, "scale_y": 1, "offset_x": 1920, "offset_y": 900}
    elements = [
        {"type": "image", "url": "#20c020", "width": 3840, "height": 2160},
        {"type": "avatar", "url": site.url + "/red.png", "width": 800, "height": 800, **place},
        {"type": "audio", "input_text": TEXT, "voice_id": "Emma_en-US"},
    ]
    video_id = api.video_id(avatar_from=3, elements=elements)
    picture = middle_picture(fetched(api.finished(video_id)["video"]))
    assert near(picture, (20, 20), "#20c020")
    assert near(picture, (320, 130), "#c02020")
    subtitle = picture.crop((0, 280, 640, 350)).convert("L")
    assert max(subtitle.tobytes()) > 230  # white letters ...
    assert min(subtitle.tobytes()) < 90  # ... on a dark bar


def test_official_avatars_wear_their_own_colours(api: Api) -> None:
    seen = []
    for avatar_id in ("Jane_in_Blue_2024", "Omar_in_Green_2024"):
        place = {"width": 2160, "height": 2160}
        elements = [
            {"type": "avatar", "avatar_id": avatar_id, **place},
            {"type": "audio", "input_text": "Hi.", "voice_id": "Emma_en-US"},
        ]
        video_id = api.video_id(elements=elements)
        seen.append(middle_picture(fetched(api.finished(video_id)["video"])))
    assert near(seen[0], (320, 300), "#2f6fb5")
    assert near(seen[1], (320, 300), "#3d8a5f")


def test_markers_are_neither_spoken_nor_charged_as_length(api: Api) -> None:
    marked = api.video_id(text="Hello there. [[video:slow 5]]")
    plain = api.video_id(text="Hello there.")
    seconds = {job.id: job.seconds for job in api.akool.emulator.jobs("video")}
    assert seconds[marked] == seconds[plain]
    texts = {job.details["sound"]["text"] for job in api.akool.emulator.jobs("video")}
    assert texts == {"Hello there."}


def test_links_die_after_seven_days_and_cannot_be_used_any_more(api: Api) -> None:
    audio = api.audio_link()
    video_id = api.video_id(audio=audio)
    link = api.finished(video_id)["video"]
    clock = api.akool.emulator.clock
    clock.advance(WEEK - 21_000)
    assert requests.get(link, timeout=WAIT).status_code == 200
    clock.advance(22_000)
    for dead in (link, audio):
        answer = requests.get(dead, timeout=WAIT)
        assert (answer.status_code, b"AccessDenied" in answer.content) == (403, True)
    assert api.info(video_id)["video"] == link
    assert api.video(audio=audio)["code"] == 1015


def test_no_file_before_the_end_nor_for_strangers(api: Api) -> None:
    video_id = api.video_id()
    for name in (video_id, "000000000000000000000000"):
        link = f"{api.akool.url}/media/videos/{name}.mp4"
        assert requests.get(link, timeout=WAIT).status_code == 403


def test_parts_of_a_file(api: Api) -> None:
    link = api.finished(api.video_id())["video"]
    whole = fetched(link)
    part = requests.get(link, headers={"Range": "bytes=100-"}, timeout=WAIT)
    assert (part.status_code, part.content) == (206, whole[100:])
    head = requests.head(link, timeout=WAIT)
    assert int(head.headers["content-length"]) == len(whole)


def test_foreign_audio_gives_the_video_its_length(api: Api, site, tmp_path: Path) -> None:
    write_audio(speak(Speech(text=TEXT)), tmp_path / "a.wav", AudioFormat(container="wav"))
    site.files["/a.wav"] = (tmp_path / "a.wav").read_bytes()
    video_id = api.video_id(audio=site.url + "/a.wav")
    content = fetched(api.finished(video_id)["video"])
    expected = speak(Speech(text=TEXT)).seconds
    assert length(content, "video") == pytest.approx(expected, rel=0.02)
    assert length(content, "audio") == pytest.approx(expected, rel=0.03)


@pytest.mark.parametrize("path", ["/missing.mp3", "/page.html"])
def test_audio_that_cannot_be_fetched_or_read_is_1015(api: Api, site, path: str) -> None:
    site.files["/page.html"] = b"<html>not audio</html>"
    assert api.video(audio=site.url + path)["code"] == 1015
    assert api.akool.emulator.stats().accepted["video"] == 0


def test_other_hosts_are_not_fetched(api: Api) -> None:
    before = time.monotonic()
    assert api.video(audio="https://media.example/a.mp3")["code"] == 1015
    assert time.monotonic() - before < 2


def test_unreachable_audio_fails_later_when_switched(start) -> None:
    api: Api = start(unreachable_media="fail")
    done = api.finished(api.video_id(audio="https://media.example/a.mp3"))
    assert (done["video_status"], done["error_code"]) == (4, 1015)


def test_an_unreachable_picture_is_replaced_by_a_portrait(api: Api) -> None:
    done = api.finished(api.video_id(avatar_url="https://media.example/me.png"))
    assert middle_picture(fetched(done["video"])).size == (640, 360)


def test_tiny_media_serves_one_short_file_for_all(start) -> None:
    api: Api = start(media="tiny")
    audio = api.audio_link(TEXT * 20)
    links = [
        api.finished(api.video_id(text=TEXT * 20))["video"],
        api.finished(api.video_id(audio="https://media.example/a.mp3"))["video"],
    ]
    first, second = (fetched(link) for link in links)
    assert first == second
    assert length(first, "video") == pytest.approx(1, rel=0.02)
    assert length(fetched(audio), "audio") == pytest.approx(1, rel=0.05)


def test_rendering_does_not_hold_up_other_requests(api: Api) -> None:
    link = api.finished(api.video_id(text=TEXT * 6))["video"]
    downloads = [threading.Thread(target=fetched, args=(link,)) for _ in range(2)]
    for thread in downloads:
        thread.start()
    slowest = 0.0
    while any(thread.is_alive() for thread in downloads):
        before = time.monotonic()
        api.credits()
        slowest = max(slowest, time.monotonic() - before)
        time.sleep(0.01)
    for thread in downloads:
        thread.join()
    assert slowest < 0.5


def test_a_file_that_was_dropped_from_the_cache_is_made_again(tmp_path: Path) -> None:
    import asyncio

    made: list[str] = []

    def make(path: Path) -> None:
        made.append(path.name)
        path.write_bytes(b"content")

    async def ask() -> list[bool]:
        paths = [await library.made(name, make) for name in ("a", "b", "a", "a")]
        return [path.exists() for path in paths]

    library = MediaLibrary(tmp_path, largest=1)
    try:
        exist = asyncio.run(ask())
    finally:
        library.close()
    assert len(made) == 3
    assert exist[0]


@pytest.mark.parametrize(
    ("text", "locale", "code", "expected"),
    [
        ("Hello", "de-DE", "", "de-de"),
        ("Hello", "de-DE", "fr", "fr"),
        ("こんにちは世界", "en-US", "", "ja"),
        ("你好世界", "en-US", "", "zh"),
        ("世界", "ja-JP", "", "ja-jp"),
        ("नमस्ते", "en-US", "", "hi"),
        ("Привет", "uk-UA", "", "uk-ua"),
        ("Call it Привет, said the man from the old house", "en-US", "", "en-us"),
        ("", "", "", "en-us"),
    ],
)
def test_the_language_that_is_spoken(text: str, locale: str, code: str, expected: str) -> None:
    assert spoken_language(text, locale=locale, language_code=code) == expected


def test_speech_is_real_keeps_its_length_and_differs_by_language() -> None:
    assert can_speak()
    locales = ("de-DE", "en-US", "de-DE")
    lengths = [len(speak(Speech(text=TEXT, locale=locale)).samples) for locale in locales]
    assert lengths[0] == lengths[2] != lengths[1]


@pytest.mark.parametrize("locale", sorted({v.locale for v in official_voices().values()}))
def test_every_language_of_the_catalog_is_spoken(locale: str) -> None:
    speech = Speech(text="Hello 12 34 56", locale=locale)
    spoken, tones = speak(speech).samples, _tones(speech).samples
    assert len(spoken) != len(tones)
    assert spoken.any()


def test_tones_stand_in_when_speech_is_missing() -> None:
    sound = _tones(Speech(text=TEXT))
    assert sound.seconds == pytest.approx(len(TEXT) * 0.07, rel=0.05)
    assert abs(sound.samples).max() > 1_000
    assert len(_tones(Speech(text="")).samples) > 0


def test_nothing_is_at_least_a_second_of_silence() -> None:
    assert speak(Speech(text="")).seconds == 1.0


def test_bytes_that_are_no_sound_are_told(tmp_path: Path) -> None:
    (tmp_path / "x.mp3").write_bytes(b"nothing of the kind")
    with pytest.raises(ValueError, match=r"x\.mp3 holds no sound"):
        read_audio(tmp_path / "x.mp3")


def test_a_script_without_a_font_is_named_instead_of_drawn_as_boxes() -> None:
    shown = drawable("\U00012000\U00012001", size=20)  # cuneiform
    assert "no font for CUNEIFORM" in shown.text
    assert drawable("Größe", size=20).text == "Größe"


def test_signs_that_no_font_has_are_left_out() -> None:
    assert drawable("Hi \U0010fffd there", size=20).text == "Hi  there"


def test_long_subtitles_are_cut_into_pieces() -> None:
    assert subtitles(TEXT * 3)[0].split() == TEXT.split()[:14]
    assert "".join(subtitles("世界" * 40)) == "世界" * 40
    assert subtitles("") == [""]


def test_a_subtitle_stays_inside_the_picture() -> None:
    scene = Scene(
        width=1920,
        height=1080,
        background="#ffffff",
        portrait=Portrait(name="x", colour="#ffffff"),
        box=(0, 0, 2, 2),
    )
    picture = draw_scene(scene)
    before = picture.copy()
    draw_subtitle(picture, "A rather long line of words that has to be wrapped. " * 6)
    for edge in ((0, 0, 20, 360), (620, 100, 640, 360)):
        assert picture.crop(edge).tobytes() == before.crop(edge).tobytes()
    assert picture.tobytes() != before.tobytes()


_MANY_FIRST_WORDS = """
import threading
from akool_dagster.emulator.media.speech import Speech, speak

gate = threading.Barrier(16)

def begin(number):
    gate.wait()
    for text in range(5):
        speak(Speech(text=f"Voice {number} says its text number {text}.", timbre=str(number)))

threads = [threading.Thread(target=begin, args=(number,)) for number in range(16)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""


def test_the_first_texts_of_a_process_may_come_all_at_once() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", _MANY_FIRST_WORDS], capture_output=True, check=False, timeout=60
    )
    assert (ended.returncode, ended.stderr) == (0, b"")
