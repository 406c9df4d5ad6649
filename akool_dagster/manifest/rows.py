"""One row of a manifest, and the hashes that tell whether two rows ask for the same thing."""

import hashlib
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from json.encoder import encode_basestring

from akool_dagster.manifest.columns import COLUMNS

VOICE_VERSION = "voice-1"
VIDEO_VERSION = "video-1"
"""Tags inside the hashed content. Changing one makes every voice (and with it every video), or
every video, that was ever made a stranger: all of it would be asked for, and paid, again."""


@dataclass(frozen=True, slots=True)
class ScriptRow:
    """One video that is to be made, checked and ready to be asked for.

    Attributes:
        manifest: Name of the manifest.
        script_id: The row's own name, unique in its manifest.
        key: ``<manifest>.<script_id>``, the row's partition and ledger key.
        line: Physical line in the CSV file, or row number in the Parquet file, from 1.
        script: What is spoken, its ``{{column}}`` filled; None with ``voice_url``.
        voice_id: AKOOL voice that speaks the script.
        voice_sample_url: Link to a sample of the voice that speaks the script.
        voice_url: Link to speech that exists. Exactly one of these three is set.
        avatar_id: AKOOL avatar.
        avatar_url: Link to a picture or a video. Exactly one of these two is set.
        title: For people; never sent to AKOOL.
        language: ISO 639-1 code in small letters.
        rate_percent: Speaking rate, 100 is normal; None leaves it to AKOOL.
        background: ``#rrggbb`` or a link to a picture.
        width: Pixels, even; None with ``height``.
        height: Pixels, even.
        extra: The file's other columns; cells that are empty are left out.
        voice_hash: SHA-256 in hex of what is spoken: script, voice, language, rate.
        video_hash: SHA-256 in hex of what is shown: what is spoken, avatar, background, size.
    """

    manifest: str
    script_id: str
    key: str
    line: int
    script: str | None
    voice_id: str | None
    voice_sample_url: str | None
    voice_url: str | None
    avatar_id: str | None
    avatar_url: str | None
    title: str | None
    language: str | None
    rate_percent: int | None
    background: str | None
    width: int | None
    height: int | None
    extra: Mapping[str, str] = field(hash=False)
    voice_hash: str
    video_hash: str


def build_rows(
    manifest: str,
    *,
    lines: Sequence[int],
    cells: Mapping[str, Sequence[str | None]],
    voice_hashes: Sequence[str],
    video_hashes: Sequence[str],
) -> Iterator[ScriptRow]:
    """Makes rows of the columns of a checked manifest.

    Args:
        manifest: Its name.
        lines: Where each row starts.
        cells: The text of each column by its name, `COLUMNS` and the user's own, None where a cell
            is empty; as long as ``lines``, like the hashes.
        voice_hashes: Of each row.
        video_hashes: Of each row.

    Yields:
        The rows in the same order.
    """
    known = [cells[name] for name in COLUMNS]
    others = _extras({name: texts for name, texts in cells.items() if name not in COLUMNS}, lines)
    for (
        line, script_id, script, voice_id, voice_sample_url, voice_url, avatar_id, avatar_url,
        title, language, rate, background, width, height, extra, voice_hash, video_hash,
    ) in zip(lines, *known, others, voice_hashes, video_hashes, strict=True):  # fmt: skip
        yield ScriptRow(
            manifest=manifest,
            script_id=script_id,
            key=f"{manifest}.{script_id}",
            line=line,
            script=script,
            voice_id=voice_id,
            voice_sample_url=voice_sample_url,
            voice_url=voice_url,
            avatar_id=avatar_id,
            avatar_url=avatar_url,
            title=title,
            language=language,
            rate_percent=percent_of(rate),
            background=background,
            width=whole(width),
            height=whole(height),
            extra=extra,
            voice_hash=voice_hash,
            video_hash=video_hash,
        )


def _extras(
    cells: Mapping[str, Sequence[str | None]], lines: Sequence[int]
) -> Iterator[Mapping[str, str]]:
    if not cells:
        return itertools.repeat({}, len(lines))
    return (
        {name: text for name, text in zip(cells, of_row, strict=True) if text is not None}
        for of_row in zip(*cells.values(), strict=True)
    )


@lru_cache(maxsize=1_000)
def percent_of(rate: str | None) -> int | None:
    """The number of a rate in normal form, such as ``95%``."""
    return None if rate is None else int(rate.rstrip("%"))


@lru_cache(maxsize=1_000)
def whole(digits: str | None) -> int | None:
    """The number of a width or height in normal form."""
    return None if digits is None else int(digits)


def hash_voice(
    script: str | None,
    voice_id: str | None,
    voice_sample_url: str | None,
    voice_url: str | None,
    *,
    language: str | None,
    rate_percent: int | None,
) -> str:
    """The hash of what is spoken; the arguments are those of `ScriptRow`.

    Speech that exists is its link alone: nothing else changes it.
    """
    if voice_url is not None:
        return _digest(VOICE_VERSION, None, "voice_url", voice_url, None, None)
    way = "voice_id" if voice_id is not None else "voice_sample_url"
    voice = voice_id if voice_id is not None else voice_sample_url
    return _digest(VOICE_VERSION, script, way, voice, language, rate_percent)


def hash_video(
    voice_hash: str,
    avatar_id: str | None,
    avatar_url: str | None,
    *,
    background: str | None,
    width: int | None,
    height: int | None,
) -> str:
    """The hash of what is shown; the arguments are those of `ScriptRow`."""
    way = "avatar_id" if avatar_id is not None else "avatar_url"
    avatar = avatar_id if avatar_id is not None else avatar_url
    return _digest(VIDEO_VERSION, voice_hash, way, avatar, background, width, height)


def _digest(version: str, first: str | None, *rest: str | int | None) -> str:
    # JSON of a flat list, put together by hand: a manifest has hundreds of thousands of them.
    text = f'["{version}",{_json(first)},{_joined(*rest)}]'
    return hashlib.sha256(text.encode()).hexdigest()


@lru_cache(maxsize=1_000)
def _joined(*content: str | int | None) -> str:
    # Most rows share their voice and avatar, and so all of this, with many others.
    return ",".join(_json(value) for value in content)


def _json(value: str | int | None) -> str:
    if value is None:
        return "null"
    return encode_basestring(value) if isinstance(value, str) else str(value)
