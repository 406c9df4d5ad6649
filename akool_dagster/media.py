"""Looks into media files: is this a whole, playable video or audio file, and what is in it?

Built on PyAV, which carries FFmpeg's libraries and is imported when the first file is looked at.
Files are handed to FFmpeg as bytes and only for the formats listed here, so that a playlist or a
concat script that poses as a video cannot make it open other files or addresses.
"""

import base64
import contextlib
import io
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal

from upath import UPath

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.stream import Stream

MediaSource = str | os.PathLike[str] | UPath | BinaryIO

_FORMATS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mp3,wav,aac,ogg,flac"
# Containers that write their length down. In the others (and in MP3 without a Xing header) FFmpeg
# guesses it from the bit rate, and a guess cannot accuse a file.
_STATES_DURATION = {"mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "flac"}
_HEAD_BYTES = 8192
_READ_BYTES = 64 << 10  # larger is no faster, and slow where pictures and sound lie far apart
_SECONDS_SLACK = 0.5
_SHARE_SLACK = 0.02
_ATTACHED_PICTURE = 0x400
# What stands at the top of an MP4.
_BOXES = set(
    b"ftyp styp moov moof mdat mfra sidx ssix emsg prft pdin meta udta uuid free skip wide".split()
)
# Writers that cannot go back leave this, or more, where the size of a RIFF file belongs.
_RIFF_SIZE_UNKNOWN = 0x7FFFF000


@dataclass(frozen=True)
class MediaInfo:
    """What a media file holds.

    Attributes:
        kind: ``video`` if there are moving pictures, else ``audio`` (a cover picture is none).
        duration_seconds: Length, always above zero.
        width: Pixels; None for audio.
        height: Pixels; None for audio.
        video_codec: FFmpeg's name: ``h264``.
        audio_codec: FFmpeg's name: ``aac``; None if there is no sound.
        size_bytes: Size of the file; None if it cannot be told.
    """

    kind: Literal["video", "audio"]
    duration_seconds: float
    width: int | None
    height: int | None
    video_codec: str | None
    audio_codec: str | None
    size_bytes: int | None


class UnplayableMedia(Exception):
    """A file is not what it should be: empty, no media, cut off, without pictures.

    Attributes:
        reason: What is wrong, in plain words, without the file's name.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class _Extent:
    """What reading all packets of a container showed, by stream index; times in seconds."""

    starts: dict[int, float] = field(default_factory=dict)
    ends: dict[int, float] = field(default_factory=dict)
    decoded: set[int] = field(default_factory=set)

    @property
    def seconds(self) -> float:
        return max(self.ends.values()) - min(self.starts.values()) if self.ends else 0.0

    def seconds_of(self, index: int) -> float:
        return self.ends.get(index, 0.0) - self.starts.get(index, 0.0)


def probe(source: MediaSource) -> MediaInfo:
    """Checks that a file can be played from its beginning to its end, and describes it.

    Its packets are read, and the first picture and sound are decoded; a stream that gives none
    counts as absent. The middle of an MP4 that has one index for all of it is not read: the index
    and the sizes of the boxes say what is there, FFmpeg never looks into packets that it does not
    decode, and over a network that spares nearly the whole file. A file counts as cut off if
    its container says that it is larger (MP4, MOV, M4A, WAV, AVI: exact to the byte), if a packet
    is incomplete, or if the packets end before the stated duration (by more than half a second
    and 2%). In formats that state neither size nor duration (Ogg, AAC, MP3 without a Xing header)
    a cut at the end of a packet cannot be seen, nor one between the fragments of a fragmented MP4.

    The cost is at most that of reading the file once; memory does not grow with its size.

    Args:
        source: A path, or a binary file object that can seek. The object is left open.

    Raises:
        UnplayableMedia: Says in plain words what is wrong.
        OSError: The file could not be read at all.
    """
    with _opened(source) as file:
        size = _size(file)
        head = file.read(_HEAD_BYTES)
        _refuse_text(head)
        _refuse_cut_container(file, head, size)
        file.seek(0)
        with _container(file) as container:
            return _describe(container, head, size)


def check_video(info: MediaInfo) -> None:
    """Asks the least of a finished video: it has pictures.

    A missing sound track is no reason to throw a paid video away; see ``audio_codec``.

    Raises:
        UnplayableMedia: It has none.
    """
    if info.kind != "video" or not info.width or not info.height:
        raise UnplayableMedia("it holds no moving pictures")


def check_audio(info: MediaInfo) -> None:
    """Asks the least of a voice: it has sound.

    Raises:
        UnplayableMedia: It has none.
    """
    if info.audio_codec is None:
        raise UnplayableMedia("it holds no sound")


def poster_frame(source: MediaSource, *, width: int = 320) -> bytes:
    """Draws a small still picture of a video, as JPEG.

    It is the key frame at or before the first second, where a fade from black is over.

    Args:
        source: A path, or a binary file object that can seek. The object is left open.
        width: Greatest width in pixels; the aspect ratio is kept, a small video is not enlarged.

    Raises:
        UnplayableMedia: There is no picture to be had.
        OSError: The file could not be read at all.
    """
    import av
    import av.error

    with _opened(source) as file, _container(file) as container:
        if not container.streams.video:
            raise UnplayableMedia("it holds no pictures")
        stream = container.streams.video[0]
        try:
            container.seek(min(av.time_base, (container.duration or 0) // 2))
            frame = next(container.decode(stream), None)
        except av.error.FFmpegError as error:
            raise UnplayableMedia("its first picture cannot be decoded") from error
        if frame is None:
            raise UnplayableMedia("it holds no pictures")
        picture = frame.to_image()
    picture.thumbnail((width, width * 16))
    jpeg = io.BytesIO()
    picture.save(jpeg, "JPEG", quality=80)
    return jpeg.getvalue()


def data_uri(picture: bytes) -> str:
    """Wraps a JPEG or PNG so that Markdown can show it: ``![](data:image/jpeg;base64,...)``."""
    kind = "png" if picture.startswith(b"\x89PNG") else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(picture).decode('ascii')}"


# -- opening


@contextlib.contextmanager
def _opened(source: MediaSource) -> Iterator[BinaryIO]:
    if not isinstance(source, (str, os.PathLike, UPath)):
        source.seek(0)
        yield source
        return
    path = source if isinstance(source, UPath) else Path(source)
    with path.open("rb") as file:
        yield file


@contextlib.contextmanager
def _container(file: BinaryIO) -> "Iterator[InputContainer]":
    import av
    import av.error

    try:
        container = av.open(
            file,
            "r",
            options={"format_whitelist": _FORMATS},
            metadata_errors="replace",
            buffer_size=_READ_BYTES,
        )
    except av.error.FFmpegError as error:
        raise UnplayableMedia("it is no media file that can be opened, or cut off") from error
    with container:
        yield container


def _size(file: BinaryIO) -> int:
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    return size


# -- what stands at its beginning


def _refuse_text(head: bytes) -> None:
    if not head:
        raise UnplayableMedia("it is empty")
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if text.startswith((b"<!doctype html", b"<html")):
        raise UnplayableMedia("it is an HTML page")
    if text.startswith((b"<?xml", b"<error>")):
        raise UnplayableMedia("it is an XML document")
    if text.startswith((b'{"', b"{}", b"[{", b"[]", b"{\n", b"{ ")):
        raise UnplayableMedia("it is a JSON document")


def _refuse_cut_container(file: BinaryIO, head: bytes, size: int) -> None:
    if head[4:8] == b"ftyp":
        stated = _stated_box_size(file, size)
    elif head[:4] == b"RIFF":
        stated = _stated_riff_size(head)
    else:
        return
    if stated > size:
        raise UnplayableMedia(f"it is cut off: {size} of {stated} bytes are there")


def _stated_box_size(file: BinaryIO, size: int) -> int:
    """Adds up the boxes at the top of an MP4 (ISO/IEC 14496-12): a size, a type, the content."""
    position = 0
    while position + 8 <= size:
        file.seek(position)
        header = file.read(16)
        length, kind = int.from_bytes(header[:4], "big"), header[4:8]
        if length == 1:
            length = int.from_bytes(header[8:16], "big")
        # Size 0 means "up to the end of the file"; what is no box is padding that players skip.
        if length < 8 or kind not in _BOXES:
            return size
        position += length
    return position


def _stated_riff_size(head: bytes) -> int:
    stated = int.from_bytes(head[4:8], "little")
    return 8 + stated if 0 < stated < _RIFF_SIZE_UNKNOWN else 0


# -- what it holds


def _describe(container: "InputContainer", head: bytes, size: int) -> MediaInfo:
    pictures = [s for s in container.streams.video if not _is_cover(s.disposition)]
    sounds = list(container.streams.audio)
    if not pictures and not sounds:
        raise UnplayableMedia("it holds neither pictures nor sound")
    extent = _read_through(container, [*pictures, *sounds])
    pictures = [stream for stream in pictures if stream.index in extent.decoded]
    sounds = [stream for stream in sounds if stream.index in extent.decoded]
    if not pictures and not sounds:
        raise UnplayableMedia("it is damaged or cut off: nothing in it can be decoded")
    duration = extent.seconds
    if _states_duration(container.format.name, head):
        duration = _stated_duration(container, [*pictures, *sounds], extent) or duration
    duration = round(duration, 3)
    if duration <= 0:
        raise UnplayableMedia("it is zero seconds long")
    picture = pictures[0].codec_context if pictures else None
    return MediaInfo(
        kind="video" if picture else "audio",
        duration_seconds=duration,
        width=picture.width if picture else None,
        height=picture.height if picture else None,
        video_codec=picture.codec.canonical_name if picture else None,
        audio_codec=sounds[0].codec_context.codec.canonical_name if sounds else None,
        size_bytes=size,
    )


def _is_cover(disposition: int) -> bool:
    return bool(int(disposition) & _ATTACHED_PICTURE)


def _states_duration(format_name: str, head: bytes) -> bool:
    if format_name == "mp3":
        return b"Xing" in head or b"Info" in head
    return format_name in _STATES_DURATION


def _read_through(container: "InputContainer", streams: "list[Stream]") -> _Extent:
    """Reads the packets; decodes of each stream only as much as gives one picture or sound."""
    import av.error

    extent = _Extent()
    may_leap = _is_indexed(container, streams)
    try:
        for packet in container.demux(streams):
            _take(packet, container, extent)
            if may_leap and len(extent.decoded) == len(streams):
                may_leap = False
                _leap_to_the_end(container)
    except av.error.FFmpegError as error:
        raise UnplayableMedia("it is damaged or cut off: its data cannot be read") from error
    return extent


def _is_indexed(container: "InputContainer", streams: "list[Stream]") -> bool:
    """Whether it is an MP4 that knows all its packets, that is, none in fragments."""
    return container.format.name.startswith("mov") and all(stream.frames for stream in streams)


def _leap_to_the_end(container: "InputContainer") -> None:
    """Goes on at the last key frame, before which there is nothing more to learn."""
    import av.error

    # Without a key frame to go to, all is read.
    with contextlib.suppress(av.error.FFmpegError):
        container.seek(container.duration or 0)


def _take(packet: "Packet", container: "InputContainer", extent: _Extent) -> None:
    # Not packet.stream_index: that is 0 for the empty packets that end each stream.
    index = packet.stream.index
    if index not in extent.decoded and packet.decode():
        extent.decoded.add(index)
    # The last packet of a WAV of unknown size always looks incomplete.
    if packet.is_corrupt and container.format.name != "wav":
        raise UnplayableMedia("it is cut off: a packet is incomplete")
    if packet.size:
        _measure(packet, extent)


def _measure(packet: "Packet", extent: _Extent) -> None:
    stamp = packet.pts if packet.pts is not None else packet.dts
    if stamp is None or packet.time_base is None:
        return
    index = packet.stream.index
    start = float(stamp * packet.time_base)
    end = float((stamp + (packet.duration or 0)) * packet.time_base)
    extent.starts[index] = min(extent.starts.get(index, start), start)
    extent.ends[index] = max(extent.ends.get(index, end), end)


def _stated_duration(
    container: "InputContainer", streams: "list[Stream]", extent: _Extent
) -> float | None:
    """Compares what the streams, or else the container, say of their length with what is there.

    The container's own figure comes second: it may count tracks that are neither picture nor
    sound, such as chapters.
    """
    import av

    stated = [
        (float(stream.duration * stream.time_base), extent.seconds_of(stream.index))
        for stream in streams
        if stream.duration and stream.time_base
    ]
    if not stated and container.duration:
        stated = [(container.duration / av.time_base, extent.seconds)]
    for said, found in stated:
        if said - found > max(_SECONDS_SLACK, said * _SHARE_SLACK):
            raise UnplayableMedia(f"it is cut off: {found:.1f} of {said:.1f} seconds are there")
    return max((said for said, _ in stated), default=None)
