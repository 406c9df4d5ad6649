"""Writes and reads audio files."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from akool_dagster.emulator.media.speech import Sound

if TYPE_CHECKING:
    from av.container import OutputContainer

_CODECS = {"mp3": "libmp3lame", "wav": "pcm_s16le"}
_MOST_READ = 3 * 3600  # seconds of a foreign file that are read at most


@dataclass(frozen=True, kw_only=True)
class AudioFormat:
    """What a speech file is like; the defaults are VoiceLab's (docs: voiceLab page).

    Attributes:
        container: ``mp3`` or ``wav``.
        sample_rate: 8000, 16000, 22050, 24000, 32000 or 44100.
        bit_rate: 32000, 64000, 128000 or 256000; for mp3.
        channels: 1 or 2.
    """

    container: str = "mp3"
    sample_rate: int = 32_000
    bit_rate: int = 128_000
    channels: int = 1


def write_audio(sound: Sound, path: Path, audio_format: AudioFormat) -> None:
    """Encodes a sound into a file."""
    import av

    layout = "mono" if audio_format.channels == 1 else "stereo"
    with av.open(str(path), "w", format=audio_format.container) as container:
        stream = container.add_stream(
            _CODECS[audio_format.container], rate=audio_format.sample_rate
        )
        stream.layout = layout  # type: ignore[attr-defined]
        stream.bit_rate = audio_format.bit_rate  # type: ignore[attr-defined]
        encode_sound(container, stream, sound)


def encode_sound(container: "OutputContainer", stream: Any, sound: Sound) -> None:
    """Puts a whole sound into an audio stream of an open container."""
    import av

    context = stream.codec_context
    context.open(strict=False)
    resampler = av.AudioResampler(
        format=context.format,
        layout=context.layout,
        rate=context.sample_rate,
        frame_size=context.frame_size or None,
    )
    whole = av.AudioFrame.from_ndarray(sound.samples.reshape(1, -1), format="s16", layout="mono")
    whole.sample_rate = sound.rate
    whole.time_base = Fraction(1, sound.rate)
    whole.pts = 0  # from here the encoder knows how much of its start is padding
    for frame in [*resampler.resample(whole), *resampler.resample(None)]:
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def read_audio(path: Path) -> Sound:
    """Decodes any audio file (or the sound of a video) to mono.

    Raises:
        ValueError: When the file holds no sound that can be decoded.
    """
    import av
    import numpy as np
    from av.error import FFmpegError

    try:
        with av.open(str(path)) as container:
            stream = container.streams.audio[0]
            rate = stream.rate or 22_050
            resampler = av.AudioResampler(format="s16", layout="mono", rate=rate)
            chunks, count = [], 0
            for frame in container.decode(stream):
                for part in resampler.resample(frame):
                    chunks.append(part.to_ndarray().ravel())
                    count += part.samples
                if count > _MOST_READ * rate:
                    break
    except (FFmpegError, IndexError) as error:
        raise ValueError(f"{path.name} holds no sound that can be read ({error}).") from error
    if not chunks:
        raise ValueError(f"{path.name} holds an empty sound.")
    return Sound(samples=np.concatenate(chunks), rate=rate)
