"""The probe on real files, made here with PyAV, whole and broken in every way."""

import contextlib
import io
import random
import struct
import subprocess
import sys
import tempfile
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from upath import UPath

from akool_dagster.media import (
    MediaInfo,
    UnplayableMedia,
    check_audio,
    check_video,
    data_uri,
    poster_frame,
    probe,
)

RATE = 44_100


def make_media(
    file_format: str,
    *,
    seconds: float = 1.0,
    video: str | None = "libx264",
    audio: str | None = "aac",
    rate: int = RATE,
    shade: int = 40,
    sound_seconds: float | None = None,
    sound_first: bool = False,
    options: dict[str, str] | None = None,
) -> bytes:
    """Encodes a grey picture and a tone; no codec means no such stream."""
    # A file on disk: to put its index first, the writer opens it a second time.
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "media"
        with av.open(str(path), "w", format=file_format, options=options or {}) as container:
            sound = container.add_stream(audio, rate=rate) if audio and sound_first else None
            picture = container.add_stream(video, rate=10) if video else None
            if audio and sound is None:
                sound = container.add_stream(audio, rate=rate)
            if sound is not None:
                sound.layout = "mono"
            if picture is not None:
                _add_pictures(container, picture, int(seconds * 10), shade)
            if sound is not None:
                length = seconds if sound_seconds is None else sound_seconds
                _add_sound(container, sound, int(length * rate), rate)
        return path.read_bytes()


def _add_pictures(container, stream, count: int, shade: int) -> None:
    stream.width, stream.height, stream.pix_fmt = 320, 180, "yuv420p"
    for number in range(count):
        pixels = np.full((180, 320, 3), (shade + number * 7) % 256, np.uint8)
        container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
    container.mux(stream.encode(None))


def _add_sound(container, stream, samples: int, rate: int) -> None:
    tone = (np.sin(np.arange(samples) * 2 * np.pi * 440 / rate) * 9000).astype(np.int16)
    for start in range(0, samples, 1024):
        chunk = np.ascontiguousarray(tone[None, start : start + 1024])
        frame = av.AudioFrame.from_ndarray(chunk, format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = rate, start, Fraction(1, rate)
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


MP4 = make_media("mp4", options={"movflags": "faststart"})
MP4_INDEX_LAST = make_media("mp4")
MP4_FRAGMENTS = make_media("mp4", options={"movflags": "frag_keyframe+empty_moov"})
SILENT_MP4 = make_media("mp4", audio=None)
MP3 = make_media("mp3", video=None, audio="libmp3lame")
WAV = make_media("wav", video=None, audio="pcm_s16le")
M4A = make_media("ipod", video=None)
AVI = make_media("avi", video="mpeg4", audio="libmp3lame")
WEBM = make_media("webm", seconds=3, video="libvpx", audio="libopus", rate=48_000)
OGG = make_media("ogg", video=None, audio="libopus", rate=48_000)
FLAC = make_media("flac", seconds=3, video=None, audio="flac")
ADTS = make_media("adts", video=None)


def reason(data: bytes) -> str:
    with pytest.raises(UnplayableMedia) as caught:
        probe(io.BytesIO(data))
    assert str(caught.value) == caught.value.reason
    return caught.value.reason


@pytest.mark.parametrize(
    ("data", "kind", "codecs", "seconds"),
    [
        pytest.param(MP4, "video", ("h264", "aac"), 1.0, id="mp4"),
        pytest.param(MP4_INDEX_LAST, "video", ("h264", "aac"), 1.0, id="mp4 with index last"),
        pytest.param(MP4_FRAGMENTS, "video", ("h264", "aac"), 1.0, id="mp4 in fragments"),
        pytest.param(SILENT_MP4, "video", ("h264", None), 1.0, id="mp4 without sound"),
        pytest.param(AVI, "video", ("mpeg4", "mp3"), 1.0, id="avi"),
        pytest.param(WEBM, "video", ("vp8", "opus"), 3.0, id="webm"),
        pytest.param(MP3, "audio", (None, "mp3"), 1.0, id="mp3"),
        pytest.param(WAV, "audio", (None, "pcm_s16le"), 1.0, id="wav"),
        pytest.param(M4A, "audio", (None, "aac"), 1.0, id="m4a"),
        pytest.param(OGG, "audio", (None, "opus"), 1.0, id="ogg"),
        pytest.param(FLAC, "audio", (None, "flac"), 3.0, id="flac"),
        pytest.param(ADTS, "audio", (None, "aac"), 1.0, id="aac"),
    ],
)
def test_whole_files_are_described(data, kind, codecs, seconds):
    info = probe(io.BytesIO(data))
    assert (info.kind, info.video_codec, info.audio_codec) == (kind, *codecs)
    assert info.duration_seconds == pytest.approx(seconds, abs=0.25)
    assert (info.width, info.height) == ((320, 180) if kind == "video" else (None, None))
    assert info.size_bytes == len(data)


def test_every_kind_of_source_is_read(tmp_path):
    local = tmp_path / "film: no protocol.mp4"
    local.write_bytes(MP4)
    remote = UPath("memory://probe/film.mp4")
    remote.parent.mkdir(parents=True, exist_ok=True)
    remote.write_bytes(MP4)
    file = io.BytesIO(MP4)
    file.seek(100)
    infos = {probe(source) for source in (local, str(local), UPath(local), remote, file)}
    assert len(infos) == 1
    assert not file.closed


def test_an_absent_file_is_no_unplayable_one(tmp_path):
    with pytest.raises(FileNotFoundError):
        probe(tmp_path / "absent.mp4")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (b"<!DOCTYPE html><html><body>Sign in</body></html>", "HTML"),
        (b"\xef\xbb\xbf\n <html>" + b"x" * 9000, "HTML"),
        (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "XML"),
        (b'{"code": 1101, "msg": "Invalid Authorization"}', "JSON"),
        (bytes(50_000), "no media file"),
        (random.Random(7).randbytes(50_000), "no media file"),
        (b"just text\n" * 500, "no media file"),
    ],
)
def test_what_is_no_media_is_named(data, words):
    assert words in reason(data)


def test_a_picture_is_no_video():
    png = io.BytesIO()
    Image.new("RGB", (64, 64)).save(png, "PNG")
    assert "no media file" in reason(png.getvalue())


def test_a_script_that_names_other_files_opens_none(tmp_path):
    (tmp_path / "secret.mp4").write_bytes(MP4)
    script = tmp_path / "concat.mp4"
    script.write_text(f"ffconcat version 1.0\nfile '{tmp_path}/secret.mp4'\n")
    with pytest.raises(UnplayableMedia):
        probe(script)


EXACT = {
    "mp4": MP4,
    "mp4 with index last": MP4_INDEX_LAST,
    "m4a": M4A,
    "wav": WAV,
    "avi": AVI,
}


@pytest.mark.parametrize("name", EXACT)
@given(share=st.floats(0, 1))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_cut_is_seen_where_the_container_states_its_size(name, share):
    data = EXACT[name]
    assert reason(data[: int(share * (len(data) - 1))])


def test_a_cut_in_fragments_is_seen_unless_it_falls_between_two_of_them():
    boxes = _box_ends(MP4_FRAGMENTS)
    unseen = set()
    for length in range(len(MP4_FRAGMENTS) - 1, 0, -7):
        with contextlib.suppress(UnplayableMedia):
            probe(io.BytesIO(MP4_FRAGMENTS[:length]))
            unseen.add(length)
    # Up to 7 bytes of the next box may be there: they are no box yet.
    assert unseen <= {end + stub for end in boxes for stub in range(8)}
    assert reason(MP4_FRAGMENTS[:-1])


def _box_ends(data: bytes) -> set[int]:
    ends, position = set(), 0
    while position < len(data):
        position += int.from_bytes(data[position : position + 4], "big")
        ends.add(position)
    return ends


@pytest.mark.parametrize("name", EXACT)
def test_a_single_missing_byte_is_seen(name):
    assert "cut off" in reason(EXACT[name][:-1])


@pytest.mark.parametrize("data", [WEBM, FLAC, MP3], ids=["webm", "flac", "mp3"])
def test_a_large_cut_is_seen_where_the_container_states_its_duration(data):
    assert "cut off" in reason(data[: len(data) // 3])


@pytest.mark.parametrize("missing", [10, len(MP4) // 2])
def test_packets_that_lie_beyond_the_end_are_seen(missing):
    """All boxes are whole, but the index points to data that is not there."""
    content = MP4.index(b"mdat") - 4
    data = bytearray(MP4[:-missing])
    data[content : content + 4] = struct.pack(">I", len(data) - content)
    assert "cut off" in reason(bytes(data))


def test_a_track_without_packets_counts_as_absent():
    silent = make_media("webm", video="libvpx", audio="libopus", rate=48_000, sound_seconds=0)
    with av.open(io.BytesIO(silent)) as container:
        assert len(container.streams.audio) == 1
    info = probe(io.BytesIO(silent))
    assert (info.kind, info.video_codec, info.audio_codec) == ("video", "vp8", None)


def test_pictures_of_which_none_can_be_decoded_count_as_absent():
    data = bytearray(WEBM)
    with av.open(io.BytesIO(WEBM)) as container:
        for packet in container.demux(video=0):
            if packet.size and packet.pos is not None:
                data[packet.pos : packet.pos + packet.size] = bytes(packet.size)
    with pytest.raises(UnplayableMedia, match="no moving pictures"):
        check_video(probe(io.BytesIO(bytes(data))))


def test_a_single_picture_behind_the_sound_is_found():
    info = probe(io.BytesIO(make_media("mp4", seconds=0.1, sound_first=True)))
    assert (info.kind, info.video_codec, info.audio_codec) == ("video", "h264", "aac")


def test_a_length_that_rounds_to_nothing_is_zero():
    blink = make_media("wav", seconds=0.0002, video=None, audio="pcm_s16le")
    assert "zero seconds" in reason(blink)


def test_names_in_other_encodings_do_no_harm():
    data = bytearray(MP4)
    data[8] = 0x80  # the major brand, which FFmpeg reports as a text
    assert probe(io.BytesIO(bytes(data))).kind == "video"


def test_pictures_that_cannot_be_decoded_are_refused():
    data = bytearray(SILENT_MP4)
    start = data.index(b"mdat") + 4
    end = data.index(b"moov") - 4
    data[start:end] = bytes(end - start)
    assert "damaged" in reason(bytes(data))


@pytest.mark.parametrize(
    "trailer",
    [bytes(1000), b"printable trailer", struct.pack(">I4s", 0, b"free") + bytes(50)],
    ids=["zeros", "text", "box up to the end"],
)
def test_padding_at_the_end_is_no_cut(trailer):
    assert probe(io.BytesIO(MP4 + trailer)).duration_seconds == 1.0


@pytest.mark.parametrize("size", [b"\xff\xff\xff\xff", bytes(4)], ids=["all ones", "zero"])
def test_a_wav_written_to_a_pipe_is_whole(size):
    data = bytearray(WAV)
    content = data.index(b"data")
    data[4:8] = data[content + 4 : content + 8] = size
    assert probe(io.BytesIO(bytes(data))).duration_seconds == pytest.approx(1.0, abs=0.05)


def test_a_variable_bit_rate_mp3_without_a_header_is_not_accused():
    """FFmpeg guesses its length from its first frames' bit rate; here the guess is far too long."""
    info = probe(io.BytesIO(_mp3_frames(64, 10) + _mp3_frames(320, 100)))
    assert info.kind == "audio"
    info = probe(io.BytesIO(_mp3_frames(320, 10) + _mp3_frames(64, 100)))
    assert info.duration_seconds == pytest.approx(2.87, abs=0.3)


def _mp3_frames(kilobits: int, count: int) -> bytes:
    """MPEG-1 layer III frames of silence: a header (ISO/IEC 11172-3) and zeros."""
    index = {64: 5, 320: 14}[kilobits]
    header = bytes([0xFF, 0xFB, index << 4, 0xC4])
    return (header + bytes(144 * kilobits * 1000 // RATE - 4)) * count


def test_a_cover_picture_does_not_make_a_video():
    jpeg = io.BytesIO()
    Image.new("RGB", (32, 32), "red").save(jpeg, "JPEG")
    frame = b"\x00image/jpeg\x00\x03\x00" + jpeg.getvalue()
    body = b"APIC" + struct.pack(">I", len(frame)) + b"\x00\x00" + frame
    size = bytes(len(body) >> shift & 0x7F for shift in (21, 14, 7, 0))
    info = probe(io.BytesIO(b"ID3\x03\x00\x00" + size + body + MP3))
    assert (info.kind, info.audio_codec) == ("audio", "mp3")


class Counted(io.BytesIO):
    """Counts the bytes that are read of it."""

    count = 0

    def read(self, size=-1, /):
        data = super().read(size)
        self.count += len(data)
        return data


def make_noise(*, seconds: int, audio: str | None, options: dict[str, str]) -> bytes:
    """Encodes pictures that take room, each a key picture."""
    noise = np.random.default_rng(1).integers(0, 256, (180, 320, 3), np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "noise.mp4"
        with av.open(str(path), "w", options=options) as container:
            picture = container.add_stream("mpeg4", rate=10)
            picture.width, picture.height, picture.bit_rate = 320, 180, 20_000_000
            picture.codec_context.gop_size = 1
            sound = container.add_stream(audio, rate=RATE) if audio else None
            for number in range(seconds * 10):
                frame = av.VideoFrame.from_ndarray(noise, format="rgb24")
                container.mux(picture.encode(frame))
                if sound is not None:
                    silence = np.zeros((1, RATE // 10), np.int16)
                    frame = av.AudioFrame.from_ndarray(silence, format="s16", layout="mono")
                    frame.sample_rate, frame.pts = RATE, number * (RATE // 10)
                    container.mux(sound.encode(frame))
            for stream in container.streams.get():
                container.mux(stream.encode(None))
        return path.read_bytes()


@pytest.mark.parametrize("options", [{}, {"movflags": "faststart"}], ids=["last", "first"])
@pytest.mark.parametrize("audio", ["aac", None])
def test_the_middle_of_an_indexed_mp4_is_not_read(options, audio):
    data = make_noise(seconds=30, audio=audio, options=options)
    file = Counted(data)
    info = probe(file)
    assert info.duration_seconds == pytest.approx(30, abs=0.1)
    assert info.audio_codec == audio
    assert len(data) > 2_000_000
    assert file.count < 500_000


def test_minimal_rules():
    film, sound = probe(io.BytesIO(MP4)), probe(io.BytesIO(MP3))
    check_video(film)
    check_video(probe(io.BytesIO(SILENT_MP4)))
    check_audio(sound)
    check_audio(film)
    with pytest.raises(UnplayableMedia, match="no moving pictures"):
        check_video(sound)
    with pytest.raises(UnplayableMedia, match="no sound"):
        check_audio(probe(io.BytesIO(SILENT_MP4)))
    with pytest.raises(UnplayableMedia, match="no moving pictures"):
        check_video(MediaInfo("video", 1.0, 0, 0, "h264", None, 10))


def test_poster_frame_is_a_small_true_picture(tmp_path):
    path = tmp_path / "film.mp4"
    path.write_bytes(make_media("mp4", seconds=2, shade=200))
    picture = Image.open(io.BytesIO(poster_frame(path, width=160)))
    assert (picture.format, picture.size) == ("JPEG", (160, 90))
    grey = np.asarray(picture).mean()
    assert 150 < grey < 256
    assert Image.open(io.BytesIO(poster_frame(path, width=5000))).size == (320, 180)


@pytest.mark.parametrize("data", [MP4_INDEX_LAST, MP4_FRAGMENTS, SILENT_MP4, AVI, WEBM])
def test_every_kind_of_video_has_a_poster_frame(data):
    assert Image.open(io.BytesIO(poster_frame(io.BytesIO(data)))).size == (320, 180)


@pytest.mark.parametrize("data", [MP3, b"<html>", b"", MP4[:50]])
def test_no_poster_frame_without_pictures(data):
    with pytest.raises(UnplayableMedia):
        poster_frame(io.BytesIO(data))


def test_data_uri():
    assert data_uri(b"\xff\xd8\xff") == "data:image/jpeg;base64,/9j/"
    assert data_uri(b"\x89PNG\r\n").startswith("data:image/png;base64,iVBORw")


@given(data=st.binary(max_size=4000))
@settings(max_examples=150, deadline=None)
def test_arbitrary_bytes_are_refused_in_plain_words(data):
    assert reason(data)


@given(position=st.integers(0, len(MP4) - 1), value=st.integers(0, 255))
@settings(max_examples=150, deadline=None)
def test_a_flipped_byte_never_raises_anything_else(position, value):
    damaged = bytearray(MP4)
    damaged[position] = value
    try:
        info = probe(io.BytesIO(bytes(damaged)))
    except UnplayableMedia as error:
        assert error.reason
    else:
        assert info.duration_seconds > 0


def test_import_is_cheap():
    code = "import sys, akool_dagster.media; sys.exit('av' in sys.modules or 'PIL' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_nothing_is_printed(tmp_path):
    path = tmp_path / "cut.mp4"
    path.write_bytes(MP4[:-2000])
    code = (
        "import sys, akool_dagster.media as m\n"
        "try: m.probe(sys.argv[1])\n"
        "except m.UnplayableMedia: pass"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, check=True, cwd=Path.cwd()
    )
    assert (run.stdout, run.stderr) == (b"", b"")
