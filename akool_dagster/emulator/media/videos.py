"""Renders a talking-avatar video: a scene, a sound and the script as subtitles."""

from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from akool_dagster.emulator.media.audio_files import encode_sound
from akool_dagster.emulator.media.pictures import Scene, draw_scene, draw_subtitle
from akool_dagster.emulator.media.speech import Sound

if TYPE_CHECKING:
    from PIL.Image import Image

FRAMES_PER_SECOND = 5
_MOUTHS = 4  # how many openings of the mouth are drawn
_WORDS_AT_ONCE = 14
_WIDE_AT_ONCE = 30  # characters, in scripts without spaces
_TIME_BASE = Fraction(1, 90_000)


def render_video(scene: Scene, sound: Sound, text: str, path: Path) -> None:
    """Writes an MP4 (H.264 yuv420p, AAC, index first) as long as the sound.

    Blocks for a small fraction of the sound's length; call it outside of an event loop.

    Args:
        scene: What is to be seen.
        sound: What is to be heard.
        text: The script, shown piece by piece; may be empty.
        path: The file to write.
    """
    import av

    count = max(2, round(sound.seconds * FRAMES_PER_SECOND))
    with av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"}) as container:
        video = container.add_stream("libx264", rate=FRAMES_PER_SECOND)
        video.width, video.height = scene.size
        video.pix_fmt = "yuv420p"
        video.time_base = _TIME_BASE
        video.codec_context.time_base = _TIME_BASE
        video.codec_context.thread_count = 1
        video.options = {"preset": "ultrafast", "tune": "stillimage", "crf": "26", "bf": "0"}
        audio = container.add_stream("aac", rate=sound.rate)
        audio.layout = "mono"
        audio.bit_rate = 64_000
        pictures = _Pictures(scene, text, sound, count)
        # Frames are spread evenly over the sound, so that both end together.
        for number in range(count):
            frame = pictures.frame(number)
            frame.pts = round(number * sound.seconds / count / _TIME_BASE)
            frame.time_base = _TIME_BASE
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        encode_sound(container, audio, sound)


def subtitles(text: str) -> list[str]:
    """Cuts a script into pieces that can be read at once."""
    words = text.split()
    if any(len(word) > _WIDE_AT_ONCE for word in words):
        return [text[at : at + _WIDE_AT_ONCE] for at in range(0, len(text), _WIDE_AT_ONCE)]
    return [
        " ".join(words[at : at + _WORDS_AT_ONCE]) for at in range(0, len(words), _WORDS_AT_ONCE)
    ] or [""]


class _Pictures:
    """The frames of one video; equal ones are drawn once."""

    def __init__(self, scene: Scene, text: str, sound: Sound, count: int) -> None:
        self._scene = scene
        self._pieces = subtitles(text)
        self._ends = _ends(self._pieces)
        self._mouths = _mouth_openings(sound, count)
        self._count = count
        self._scenes: dict[int, Image] = {}
        self._drawn: dict[tuple[int, int], Image] = {}

    def frame(self, number: int):
        import av

        piece = next(i for i, end in enumerate(self._ends) if number / self._count < end)
        picture = self._picture(piece, self._mouths[number])
        return av.VideoFrame.from_image(picture).reformat(format="yuv420p")

    def _picture(self, piece: int, mouth: int) -> "Image":
        key = (piece, mouth)
        if key not in self._drawn:
            # Only the present piece's pictures are needed again.
            self._drawn = {old: image for old, image in self._drawn.items() if old[0] == piece}
            picture = self._background(mouth).copy()
            draw_subtitle(picture, self._pieces[piece])
            self._drawn[key] = picture
        return self._drawn[key]

    def _background(self, mouth: int) -> "Image":
        if mouth not in self._scenes:
            self._scenes[mouth] = draw_scene(self._scene, mouth=mouth / (_MOUTHS - 1))
        return self._scenes[mouth]


def _ends(pieces: list[str]) -> list[float]:
    """When each piece's turn ends, in shares of the whole, by its length."""
    total = sum(len(piece) for piece in pieces) or 1
    ends, done = [], 0
    for piece in pieces:
        done += len(piece)
        ends.append(done / total)
    return [*ends[:-1], 2.0]


def _mouth_openings(sound: Sound, count: int) -> list[int]:
    import numpy as np

    parts = np.array_split(np.abs(sound.samples.astype(np.int32)), count)
    loudness = np.array([part.mean() if len(part) else 0.0 for part in parts])
    loudest = loudness.max() or 1.0
    return [int(value) for value in np.round(loudness / loudest * (_MOUTHS - 1))]
