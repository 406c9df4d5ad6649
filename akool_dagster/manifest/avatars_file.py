"""The user's own presenters: ``avatars.csv`` in the data root, checked as strictly as a manifest.

One row per avatar that AKOOL is to make from a video (docs: avatar page, upload an avatar)::

    avatar_id,name,url,type,url_from
    Kim01,Kim,https://media.example/kim.mp4,real,direct
    Lee02,Lee at the desk,https://youtu.be/abc123,stream,youtube

``name`` is the ``avatar_id`` where it is left empty, ``type`` is real, and ``url_from`` follows
from the link.
"""

import hashlib
import json
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from upath import UPath

from akool_dagster.manifest.columns import Layout, closest
from akool_dagster.manifest.report import Repair, Report, shown
from akool_dagster.manifest.values import Unfit, check_link

if TYPE_CHECKING:
    import pandas as pd

AVATARS_FILE = "avatars.csv"
"""Name of the file, in the data root."""

AVATAR_VERSION = "avatar-1"
"""Tag inside the hashed content. Changing it makes every avatar that was ever uploaded a stranger:
each would be sent once more."""

CLIPS = ("mp4", "mov", "avi")
"""Endings of links to a clip (docs: talking-avatar page, video formats)."""

LONGEST_ID = 64

_ID = re.compile("[A-Za-z0-9]+")
_NAME_LENGTH = 100
_PLATFORMS = ("youtube.com", "youtu.be", "tiktok.com", "x.com", "twitter.com", "drive.google.com")
_TYPES = {"1": 1, "real": 1, "talking": 1, "2": 2, "stream": 2, "streaming": 2}
_ORIGINS = {
    "1": 1, "direct": 1, "file": 1, "akool": 1,
    "2": 2, "platform": 2, "youtube": 2, "tiktok": 2, "x": 2, "twitter": 2,
    "drive": 2, "google drive": 2,
}  # fmt: skip


def _needed(_names: Collection[str]) -> Sequence[Sequence[str]]:
    return (("avatar_id",), ("url",))


AVATARS = Layout(
    what="a file of avatars",
    row="avatar",
    columns=("avatar_id", "name", "url", "type", "url_from"),
    needed=_needed,
    example="avatar_id,name,url,type,url_from",
)
"""The layout of ``avatars.csv``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnAvatar:
    """One avatar that AKOOL is to make, checked and ready to be uploaded.

    Attributes:
        avatar_id: The id that it will have at AKOOL, and the key of its partition.
        name: For display.
        url: The video that it is made from.
        is_streaming: ``type`` 2: for streaming; else 1: real, for videos.
        is_platform_link: ``url_from`` 2: the link leads to YouTube, TikTok, X or Google Drive; else
            1: to the file itself.
        line: Physical line in the file, from 1.
    """

    avatar_id: str
    name: str
    url: str
    is_streaming: bool
    is_platform_link: bool
    line: int

    @property
    def content_hash(self) -> str:
        """SHA-256 in hex of what AKOOL makes the avatar from; its display name is no part of it."""
        content = (
            AVATAR_VERSION,
            self.avatar_id,
            self.url,
            self.is_streaming,
            self.is_platform_link,
        )
        text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, kw_only=True)
class AvatarsFile:
    """All rows of a file of avatars, checked.

    Attributes:
        avatars: In the order of the file.
        repairs: What was put right while reading.
        sha256: Of the file's bytes, in hex.
    """

    avatars: tuple[OwnAvatar, ...]
    repairs: tuple[Repair, ...]
    sha256: str


def read_avatars(path: UPath | Path) -> AvatarsFile:
    """Reads and checks a file of avatars, CSV or Parquet.

    Args:
        path: The file.

    Returns:
        The avatars, every one of which is ready to be uploaded.

    Raises:
        ManifestError: With every problem of the file.
    """
    # pandas takes half a second to import, and a run mostly needs no avatar of the user's own.
    from akool_dagster.manifest.table_file import read_table

    report = Report(path)
    table, data = read_table(path, report, layout=AVATARS)
    _refuse_misspelt(table, report)
    avatars = [_read_row(row, report) for row in _rows(table)]
    _refuse_doubles(table, report)
    if report.problems:
        raise report.stop()
    return AvatarsFile(
        avatars=tuple(avatars),
        repairs=tuple(report.repairs),
        sha256=hashlib.sha256(data).hexdigest(),
    )


def _rows(table: "pd.DataFrame") -> list[dict[str, Any]]:
    names = list(AVATARS.columns)
    columns = [table[name].to_numpy(dtype=object, na_value=None).tolist() for name in names]
    return [
        {"line": line, **dict(zip(names, cells, strict=True))}
        for line, cells in zip(table.index.tolist(), zip(*columns, strict=True), strict=True)
    ]


def _read_row(row: dict[str, Any], report: Report) -> OwnAvatar:
    """Reads one row; what is wrong with it is noted, and the avatar then never used."""
    line = row["line"]

    def note(fault: Unfit, column: str) -> None:
        report.problem(fault.message, fix=fault.fix, line=line, column=column, value=row[column])

    avatar_id, url = row["avatar_id"] or "", row["url"] or ""
    for column, fault in (
        ("avatar_id", _fault_of_id(avatar_id)),
        ("name", _fault_of_name(row["name"] or "")),
        ("type", _fault_of_word(row["type"], _TYPES, "1 for real or 2 for stream")),
        ("url_from", _fault_of_word(row["url_from"], _ORIGINS, "1 for direct or 2 for a platform")),
    ):
        if fault is not None and not (report.incomplete and row[column] is None):
            note(fault, column)
    is_platform_link = _is_platform_link(row, report)
    link_fault = _fault_of_link(url, is_platform_link=is_platform_link)
    if link_fault is not None and not (report.incomplete and not url):
        note(link_fault, "url")
    return OwnAvatar(
        avatar_id=avatar_id,
        name=row["name"] or avatar_id,
        url=url,
        is_streaming=_number(row["type"], _TYPES, default=1) == 2,
        is_platform_link=is_platform_link,
        line=line,
    )


def _fault_of_id(avatar_id: str) -> Unfit | None:
    if not avatar_id:
        return Unfit("the row has no avatar_id", "give it an id of its own, such as Presenter01")
    if len(avatar_id) > LONGEST_ID:
        return Unfit(
            f"the avatar_id has {len(avatar_id)} characters; {LONGEST_ID} are allowed",
            f"write {avatar_id[:LONGEST_ID]}",
        )
    if _ID.fullmatch(avatar_id):
        return None
    likely = re.sub("[^A-Za-z0-9]+", "", avatar_id)
    return Unfit(
        "AKOOL takes letters A-Z and digits only in the avatar_id of an upload",
        f"write {likely}" if likely else "write an id such as Presenter01",
    )


def _fault_of_name(name: str) -> Unfit | None:
    if len(name) > _NAME_LENGTH:
        return Unfit(
            f"the name has {len(name)} characters; {_NAME_LENGTH} are allowed", "shorten it"
        )
    return Unfit("the name holds a line break", "write one line") if "\n" in name else None


def _fault_of_word(text: str | None, words: dict[str, int], wanted: str) -> Unfit | None:
    if text is None or _folded(text) in words:
        return None
    return Unfit("this is none of the words for it", f"write {wanted}")


def _folded(text: str) -> str:
    """A cell without what people and spreadsheets vary: case, and the ``.0`` of a number."""
    return re.sub(r"\.0+$", "", text.strip().casefold())


def _number(text: str | None, words: dict[str, int], *, default: int) -> int:
    return default if text is None else words.get(_folded(text), default)


def _is_platform_link(row: dict[str, Any], report: Report) -> bool:
    leads_there = _is_on_platform(row["url"] or "")
    if row["url_from"] is None and leads_there:
        report.repair(
            f"read as 2, because of the link {shown(row['url'])}",
            line=row["line"],
            column="url_from",
        )
    return _number(row["url_from"], _ORIGINS, default=2 if leads_there else 1) == 2


def _is_on_platform(url: str) -> bool:
    try:
        host = (urlsplit(url).hostname or "").lower()
    except ValueError:
        return False
    return any(host == name or host.endswith(f".{name}") for name in _PLATFORMS)


def _fault_of_link(url: str, *, is_platform_link: bool) -> Unfit | None:
    if not url:
        return Unfit("the row has no link to a video", "give the link of a video of the presenter")
    if not is_platform_link:
        return _fault_of_file_link(url)
    if re.fullmatch(r"https?://[^\s\\@]+", url) and _is_on_platform(url):
        return None
    return Unfit(
        "the link leads to none of YouTube, TikTok, X and Google Drive",
        "give such a link, or write 1 in url_from for a link to the file itself",
    )


def _fault_of_file_link(url: str) -> Unfit | None:
    if _is_on_platform(url):
        return Unfit(
            "the link leads to a platform, not to the file itself",
            "write 2 in url_from, or give a link to the file itself",
        )
    try:
        check_link(url, CLIPS)
    except Unfit as fault:
        return fault
    return None


def _refuse_doubles(table: "pd.DataFrame", report: Report) -> None:
    first: dict[str, int] = {}
    for line, avatar_id in table["avatar_id"].dropna().items():
        number = int(str(line))
        if avatar_id in first:
            report.problem(
                f"the avatar_id is taken by {report.row} {first[avatar_id]}",
                fix="give each avatar an id of its own",
                line=number,
                column="avatar_id",
                value=avatar_id,
            )
        first.setdefault(avatar_id, number)


def _refuse_misspelt(table: "pd.DataFrame", report: Report) -> None:
    """Refuses a column that looks like a forgotten one; any other is the user's own."""
    missing = [name for name in AVATARS.columns if table[name].isna().all()]
    for name in table.columns:
        meant = None if name in AVATARS.columns else closest(name, missing)
        if meant is not None:
            report.problem(
                f"the column {shown(name)} is not known",
                fix=f"rename it to {meant}, or to a word less like it",
                column=name,
            )
