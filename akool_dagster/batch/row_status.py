"""Tells for each script row where it stands: one named state, its cause, and the next step."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from akool_dagster.batch import wording
from akool_dagster.batch.outcomes import sentences
from akool_dagster.batch.stages import Stage
from akool_dagster.batch.standing import Standing
from akool_dagster.ledger import Attempt, Delivery, Kind, Ledger, State
from akool_dagster.manifest import ScriptRow

if TYPE_CHECKING:
    from akool_dagster.manifest import Manifest

MOST_UNATTENDED_ATTEMPTS = 9
"""Attempts after which "try again later" is no longer believed without a person: three nights."""

_NEXT_STEP = {
    Standing.NEW: "Run it (or materialize all three row assets), or wait for the schedule.",
    Standing.NOT_REQUESTED: "Run it again (or materialize it), or wait for the schedule.",
    Standing.VOICE_PENDING: "Run it again (or materialize it) to go on; it is not paid twice.",
    Standing.VOICE_READY: "Run it again (or materialize it), or wait for the schedule.",
    Standing.REQUESTED: "Nothing: video_info_sensor saves it, and so does running it again.",
    Standing.FINISHED: "Nothing: video_info_sensor saves it, and so does running it again.",
    Standing.SAVED: "",
}

_ENDS = {
    State.REFUSED: Standing.REFUSED,
    State.FAILED: Standing.FAILED,
    State.IN_DOUBT: Standing.IN_DOUBT,
    State.EXPIRED: Standing.EXPIRED,
}

_UNSENT = frozenset({State.PLANNED, State.RESERVED})
_UNDER_WAY = frozenset({State.SENDING, State.ACCEPTED})


@dataclass(frozen=True, kw_only=True, slots=True)
class RowStatus:
    """One row as the ledger knows it.

    Attributes:
        row: The row.
        standing: Where it stands.
        cause: Why, in one sentence; empty where the name says it all.
        next_step: What happens next, or what a person must do; empty when nothing.
        may_be_asked_again: Whether a schedule may ask for it without a person's word: nothing
            of it was refused or failed for its own sake, and nothing is in doubt.
        is_changed: Whether the same script had another content before.
        is_respoken: Whether it had another text or voice before, and not the present ones: its
            voice is stale, and its video with it. A row that is changed otherwise keeps its voice.
        voice: Newest attempt for its voice.
        video: Newest attempt for its video.
        clone: Newest attempt to clone its voice sample, if the row asked for one (v4 only).
        voice_file: Its voice on our storage.
        video_file: Its video on our storage.
    """

    row: ScriptRow
    standing: Standing
    cause: str
    next_step: str
    may_be_asked_again: bool
    is_changed: bool
    is_respoken: bool
    voice: Attempt | None
    video: Attempt | None
    voice_file: Delivery | None
    video_file: Delivery | None
    clone: Attempt | None = None

    @property
    def deciding(self) -> Attempt | None:
        """The attempt that the row's standing comes from: the furthest one."""
        return self.video or _speaker(self.voice, self.clone)


def row_statuses(
    ledger: Ledger, rows: Iterable[ScriptRow], *, asked_keys: Collection[str] | None = None
) -> list[RowStatus]:
    """Looks many rows up in the ledger.

    Args:
        ledger: The ledger.
        rows: The rows.
        asked_keys: Keys of all rows that ever asked for a voice or a video, where that is known:
            the lines of others are not looked for.

    Returns:
        Their statuses, in the same order.
    """
    rows = list(rows)
    asked = [row for row in rows if asked_keys is None or row.key in asked_keys]
    voice_by_key = {row.key: row.voice_hash for row in asked}
    video_by_key = {row.key: row.video_hash for row in asked}
    voices = ledger.attempts.latest_of(
        kind=Kind.VOICE, content_hashes=[row.voice_hash for row in rows]
    )
    videos = ledger.attempts.latest_of(
        kind=Kind.VIDEO, content_hashes=[row.video_hash for row in rows]
    )
    voice_files = ledger.deliveries.find_many(kind=Kind.VOICE, content_by_key=voice_by_key)
    video_files = ledger.deliveries.find_many(kind=Kind.VIDEO, content_by_key=video_by_key)
    clones = _clones(ledger, rows)
    earlier = ledger.deliveries.keys_with_other_content(
        kind=Kind.VIDEO, content_by_key=video_by_key
    )
    respoken = ledger.deliveries.keys_with_other_content(
        kind=Kind.VOICE,
        content_by_key={key: h for key, h in voice_by_key.items() if key not in voice_files},
    )
    return [
        _status(
            row,
            voice=voices.get(row.voice_hash),
            video=videos.get(row.video_hash),
            voice_file=voice_files.get(row.key),
            video_file=video_files.get(row.key),
            clone=clones.get(row.key),
            is_changed=row.key in earlier or row.key in respoken,
            is_respoken=row.key in respoken,
        )
        for row in rows
    ]


def statuses_but_saved(
    ledger: Ledger, manifest: "Manifest"
) -> tuple[list[RowStatus], Collection[str]]:
    """Looks the rows of a manifest up that are not `Standing.SAVED`, and only names the others.

    Of a large manifest that was made before, that spares most of the time.

    Args:
        ledger: The ledger.
        manifest: The manifest.

    Returns:
        The statuses in the order of the file, and the keys of the rows that have none because
        the video of what they say now is on our storage. (A few of these may have one.)
    """
    here = ledger.deliveries.videos_here(manifest.name)
    rows = list(manifest.rows_but(here))
    # Of a manifest that is mostly there, looking for the lines of a few rows costs less.
    asked = ledger.deliveries.keys_of(manifest.name) if len(rows) > len(here) else None
    statuses = row_statuses(ledger, rows, asked_keys=asked)
    return statuses, set(manifest.keys).difference(status.row.key for status in statuses)


def _clones(ledger: Ledger, rows: Iterable[ScriptRow]) -> dict[str, Attempt]:
    """Finds the clones of the rows that asked for one, by script key."""
    urls = {row.key: row.voice_sample_url for row in rows if row.voice_sample_url is not None}
    if not urls:
        return {}
    samples = ledger.samples.behind(set(urls.values()))
    wanted = {key: samples[url].sha256 for key, url in urls.items() if url in samples}
    asked = ledger.deliveries.find_many(kind=Kind.CLONE, content_by_key=wanted)
    made = ledger.attempts.latest_of(kind=Kind.CLONE, content_hashes=wanted.values())
    return {key: made[wanted[key]] for key in asked if wanted[key] in made}


def _speaker(voice: Attempt | None, clone: Attempt | None) -> Attempt | None:
    """Chooses what a row's voice waits for: its speech or, before there is any, its clone."""
    if clone is None:
        return voice
    return clone if voice is None or voice.state in _UNSENT or _is_given_up(voice) else voice


def _status(
    row: ScriptRow,
    *,
    voice: Attempt | None,
    video: Attempt | None,
    voice_file: Delivery | None,
    video_file: Delivery | None,
    clone: Attempt | None,
    is_changed: bool,
    is_respoken: bool,
) -> RowStatus:
    speaker = _speaker(voice, clone)
    standing = _standing(voice=speaker, video=video, voice_file=voice_file, video_file=video_file)
    ended, stage = (video, Stage.VIDEO) if video is not None else (speaker, Stage.VOICE)
    cause, next_step, again = "", _NEXT_STEP.get(standing, ""), standing in _ASKED_AGAIN
    if standing in _ENDS.values() and ended is not None:
        outcome = wording.from_attempt(ended, key=row.key, stage=stage)
        cause = sentences(outcome.text, outcome.cost)
        next_step = outcome.advice
        again = ended.try_again and ended.number < MOST_UNATTENDED_ATTEMPTS
    elif video_file is not None and standing is not Standing.SAVED:
        cause = video_file.problem or ""
    elif standing is Standing.VOICE_PENDING and speaker is clone:
        cause = _CLONING[speaker is not None and speaker.state is State.COMPLETED]
    elif speaker is None and voice_file is not None and voice_file.saved_at is None:
        cause = voice_file.problem or ""
    if standing in _ANOTHER_S and video_file is None:
        cause, next_step, again = _SHARED, _NEXT_STEP[Standing.NEW], True
    return RowStatus(
        row=row,
        standing=standing,
        cause=cause,
        next_step=next_step,
        may_be_asked_again=again,
        is_changed=is_changed,
        is_respoken=is_respoken,
        voice=voice,
        video=video,
        voice_file=voice_file,
        video_file=video_file,
        clone=clone,
    )


_CLONING = {
    False: "AKOOL is cloning the voice of its sample; it is spoken when that is ready.",
    True: "The voice of its sample is cloned; it was not spoken yet.",
}
# A row that has no line of its own in the ledger would be forgotten by the sensor.
_ANOTHER_S = frozenset({Standing.REQUESTED, Standing.FINISHED})
_SHARED = "Another row with the same content has asked for this video; here it costs nothing."
_ASKED_AGAIN = frozenset(
    {Standing.NEW, Standing.NOT_REQUESTED, Standing.VOICE_PENDING, Standing.VOICE_READY}
)


def _standing(
    *,
    voice: Attempt | None,
    video: Attempt | None,
    voice_file: Delivery | None,
    video_file: Delivery | None,
) -> Standing:
    if video is not None and video.pay_again_at is None:
        return _video_standing(video, video_file)
    if voice_file is not None and voice_file.saved_at is not None and not _is_given_up(voice):
        return Standing.VOICE_READY
    if voice is None:
        return Standing.NEW
    if voice.state in _ENDS and not _is_given_up(voice):
        return _ENDS[voice.state]
    if voice.state in (*_UNSENT, State.DELETED) or _is_given_up(voice):
        return Standing.NOT_REQUESTED
    return Standing.VOICE_PENDING


def _is_given_up(attempt: Attempt | None) -> bool:
    return attempt is not None and attempt.pay_again_at is not None


def _video_standing(video: Attempt, video_file: Delivery | None) -> Standing:
    if video.state in _ENDS:
        return _ENDS[video.state]
    if video.state in _UNDER_WAY:
        return Standing.REQUESTED
    if video.state in (State.PLANNED, State.RESERVED):
        return Standing.NOT_REQUESTED
    is_here = (
        video_file is not None
        and video_file.saved_at is not None
        and video_file.attempt_id == video.id
    )
    return Standing.SAVED if is_here else Standing.FINISHED
