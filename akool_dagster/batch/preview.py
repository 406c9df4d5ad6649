"""What a run would do to the rows of a manifest, and what each kind of change would cost.

Pure functions over rows as the ledger knows them; nothing is asked and nothing is spent.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from akool_dagster.batch.prices import PriceBook, speech_seconds
from akool_dagster.batch.row_status import RowStatus
from akool_dagster.batch.standing import Standing
from akool_dagster.ledger import Attempt, Kind, State

_FAILED = frozenset({Standing.REFUSED, Standing.FAILED, Standing.EXPIRED})
_NOT_SENT = frozenset({State.PLANNED, State.RESERVED})


class Change(str, Enum):
    """What is to be said of a row before a run."""

    NEW = "new"
    """Nothing of it was ever asked for."""
    CHANGED_VOICE = "changed_voice"
    """Its text or voice is another than before: voice and video are stale."""
    CHANGED_VIDEO = "changed_video"
    """Its avatar or layout is another than before: the voice is good, the video is stale."""
    UNDER_WAY = "under_way"
    """Begun and not finished."""
    DONE = "done"
    """The video of what the row says now is on our storage."""
    FAILED = "failed"
    """AKOOL refused or failed it, or its link died."""
    IN_DOUBT = "in_doubt"
    """It may have been charged, and nobody knows."""


def change_of(status: RowStatus) -> Change:
    """Sorts a row.

    Args:
        status: The row.

    Returns:
        What is to be said of it.
    """
    if status.standing is Standing.SAVED:
        return Change.DONE
    if status.standing is Standing.IN_DOUBT:
        return Change.IN_DOUBT
    if status.standing in _FAILED:
        return Change.FAILED
    if status.video_file is not None:  # it has asked for the present video
        return Change.UNDER_WAY
    if status.is_respoken:
        return Change.CHANGED_VOICE
    if status.is_changed:
        return Change.CHANGED_VIDEO
    return Change.NEW if status.voice_file is None else Change.UNDER_WAY


@dataclass(frozen=True, kw_only=True)
class Group:
    """The rows of which the same is to be said.

    Attributes:
        rows: How many there are.
        to_request: How many of them a run, the schedule or the sensor would ask for.
        credits: What these would cost, as far as can be foreseen.
        credits_left: What the others are about: for failed rows, what asking for them once more
            would cost; for rows in doubt, what they may have cost already.
    """

    rows: int = 0
    to_request: int = 0
    credits: float = 0.0
    credits_left: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Preview:
    """What a run would do.

    Attributes:
        groups: All rows, by what is to be said of them.
        removed: Keys that were asked for or validated before and are not in the manifest any more.
        seconds: Estimated length of the videos that would be asked for.
        own_audio: Rows among these that bring an audio file whose length nobody knows yet: neither
            their seconds nor the credits of their videos are counted.
        shares_video: Rows still to be made that get a video which another row pays, or has paid.
        shares_voice: The same for a voice alone.
        credits_shared: What these rows would cost if nothing were shared.
    """

    groups: Mapping[Change, Group]
    removed: Sequence[str]
    seconds: float
    own_audio: int
    shares_video: int
    shares_voice: int
    credits_shared: float

    @property
    def rows(self) -> int:
        """All rows of the manifest."""
        return sum(group.rows for group in self.groups.values())

    @property
    def to_request(self) -> int:
        """The rows that a run would ask for."""
        return sum(group.to_request for group in self.groups.values())

    @property
    def credits(self) -> float:
        """What a run would cost."""
        return sum(group.credits for group in self.groups.values())


def preview(
    statuses: Iterable[RowStatus],
    prices: PriceBook,
    *,
    clones_apart: bool,
    known_keys: Collection[str] = (),
    done_keys: Collection[str] = (),
) -> Preview:
    """Foresees what a run would do; each distinct content is priced once.

    A content that several rows share is priced in the group of the first of them.

    Args:
        statuses: All rows of a manifest, in its order, but those of ``done_keys``.
        prices: What AKOOL takes, as far as known.
        clones_apart: Whether the clone of a voice sample is a create of its own (v4), or part of
            the speech (v3).
        known_keys: Keys of the manifest's rows as of before.
        done_keys: Keys of rows that are known to be `Change.DONE` and were not looked up.

    Returns:
        The preview.
    """
    count = _Count(prices, clones_apart=clones_apart)
    count.sums[Change.DONE].rows = len(done_keys)
    removed = set(known_keys).difference(done_keys)
    for status in statuses:
        count.add(status)
        removed.discard(status.row.key)
    return Preview(
        groups={change: count.sums[change].group() for change in Change},
        removed=sorted(removed),
        seconds=count.seconds,
        own_audio=count.own_audio,
        shares_video=count.shares_video,
        shares_voice=count.shares_voice,
        credits_shared=count.credits_shared,
    )


class _Item(NamedTuple):
    """One create that a row needs: of what, for how much, and whether it has to be paid still."""

    kind: Kind
    content: str
    price: float
    is_open: bool


class _Sum:
    """What becomes a `Group`."""

    def __init__(self) -> None:
        self.rows = 0
        self.to_request = 0
        self.credits = 0.0
        self.credits_left = 0.0

    def group(self) -> Group:
        return Group(
            rows=self.rows,
            to_request=self.to_request,
            credits=self.credits,
            credits_left=self.credits_left,
        )


class _Count:
    """Adds rows up."""

    def __init__(self, prices: PriceBook, *, clones_apart: bool) -> None:
        self._prices = prices
        self._clones_apart = clones_apart
        self._seen: dict[Kind, set[str]] = {kind: set() for kind in Kind}
        self.sums = {change: _Sum() for change in Change}
        self.shares_video = 0
        self.shares_voice = 0
        self.seconds = 0.0
        self.own_audio = 0
        self.credits_shared = 0.0

    def add(self, status: RowStatus) -> None:
        """Adds one row."""
        change = change_of(status)
        into = self.sums[change]
        into.rows += 1
        if status.may_be_asked_again:
            into.to_request += 1
            into.credits += self._of_request(status)
        else:
            into.credits_left += self._left(status, change)

    def _left(self, status: RowStatus, change: Change) -> float:
        if change is Change.IN_DOUBT:
            return self._in_doubt(status)
        if change is not Change.FAILED:
            return 0.0
        items = [item for item in self._items(status, _seconds(status)) if item.is_open]
        return sum(item.price for item in items if self._is_first(item))

    def _of_request(self, status: RowStatus) -> float:
        """What asking for a row costs; notes what it shares with others."""
        seconds = _seconds(status)
        self.seconds += seconds or 0.0
        self.own_audio += seconds is None
        price, shared = 0.0, []
        for item in self._items(status, seconds):
            if item.is_open and self._is_first(item):
                price += item.price
            elif item.is_open or not _is_own(status, item.kind):
                shared.append(item.kind)
                self.credits_shared += item.price
        if Kind.VIDEO in shared:  # who shares the video shares its voice as well
            self.shares_video += 1
        elif Kind.VOICE in shared:
            self.shares_voice += 1
        return price

    def _items(self, status: RowStatus, seconds: float | None) -> list[_Item]:
        row, prices = status.row, self._prices
        items = []
        if row.voice_url is None:
            speech = prices.speech(row.script or "", rate_percent=row.rate_percent)
            is_open = _is_open(status.voice)
            items.append(_Item(Kind.VOICE, row.voice_hash, speech, is_open))
            if row.voice_sample_url is not None and self._clones_apart:
                is_open = is_open and _is_open(status.clone)
                clone = prices.voice_clone()
                items.append(_Item(Kind.CLONE, row.voice_sample_url, clone, is_open))
        video = 0.0 if seconds is None else prices.avatar_video(seconds)
        items.append(_Item(Kind.VIDEO, row.video_hash, video, _is_open(status.video)))
        return items

    def _is_first(self, item: _Item) -> bool:
        """Whether no row before this one has counted the same content."""
        seen = self._seen[item.kind]
        if item.content in seen:
            return False
        seen.add(item.content)
        return True

    def _in_doubt(self, status: RowStatus) -> float:
        doubts = [
            _Item(
                kind=attempt.kind,
                content=attempt.content_hash,
                price=attempt.reserved_credits or 0.0,
                is_open=False,
            )
            for attempt in (status.clone, status.voice, status.video)
            if attempt is not None and attempt.state is State.IN_DOUBT
        ]
        return sum(doubt.price for doubt in doubts if self._is_first(doubt))


def _is_open(attempt: Attempt | None) -> bool:
    """Whether the content that an attempt is for has still to be paid, or paid again."""
    return attempt is None or attempt.state in _NOT_SENT or attempt.may_be_followed


def _is_own(status: RowStatus, kind: Kind) -> bool:
    """Whether the row itself has asked for a content of this kind."""
    if kind is Kind.CLONE:
        return True  # a clone serves all rows of its sample: it is no row's own
    return (status.video_file if kind is Kind.VIDEO else status.voice_file) is not None


def _seconds(status: RowStatus) -> float | None:
    """The length of a row's speech, measured or estimated; None where it is not known."""
    row, file = status.row, status.voice_file
    if file is not None and file.media_seconds is not None:
        return file.media_seconds
    if row.voice_url is not None:
        return None
    return speech_seconds(row.script or "", rate_percent=row.rate_percent)
