"""The cloned voices that were made here: which there are, who needs them, and their end."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from akool_dagster.akool import AkoolClient, AkoolError, NotFound
from akool_dagster.batch.stages.clone import CLONED_ANEW
from akool_dagster.ledger import Attempt, Kind, Ledger, State
from akool_dagster.manifest import ScriptRow

_SHOWN = (State.COMPLETED, State.SENDING, State.ACCEPTED, State.IN_DOUBT)
_SPOKEN = frozenset({State.COMPLETED, State.SAVED})
_AT_ONCE = 50  # deletions in one call; AKOOL names no limit


@dataclass(frozen=True, kw_only=True)
class Clone:
    """A cloned voice that was made here and is, or may be, at AKOOL.

    Attributes:
        attempt: The attempt that made it.
        links: The links behind which its sample was last found, without their queries.
        rows: Keys of the scripts whose sample it is, in the manifests as they are now.
        unspoken: Those of them that it still has to speak.
        last_used: When a script was last spoken with it, in seconds since 1970 UTC.
    """

    attempt: Attempt
    links: tuple[str, ...]
    rows: tuple[str, ...]
    unspoken: tuple[str, ...]
    last_used: float | None

    @property
    def is_ready(self) -> bool:
        """Whether AKOOL has finished it."""
        return self.attempt.state is State.COMPLETED

    @property
    def voice_id(self) -> str | None:
        """What a create of speech takes; None while it is not ready."""
        return str((self.attempt.answer or {}).get("voice_id")) if self.is_ready else None


def clones_made(ledger: Ledger, rows: Iterable[ScriptRow]) -> list[Clone]:
    """Lists the clones that were made here and not deleted, finished or not.

    Args:
        ledger: The ledger.
        rows: All rows of the manifests as they are now.

    Returns:
        The clones, oldest first.
    """
    users = _users(ledger, rows)
    spoken = _spoken(ledger, [row for group in users.values() for row in group])
    samples = ledger.samples.by_file()
    clones = []
    for attempt in ledger.attempts.in_states(kind=Kind.CLONE, states=_SHOWN):
        mine = users.get(attempt.content_hash, ())
        clones.append(
            Clone(
                attempt=attempt,
                links=tuple(sample.link for sample in samples.get(attempt.content_hash, ())),
                rows=tuple(row.key for row in mine),
                unspoken=tuple(row.key for row in mine if row.voice_hash not in spoken),
                last_used=_last_used(ledger, attempt),
            )
        )
    return clones


def _users(ledger: Ledger, rows: Iterable[ScriptRow]) -> Mapping[str, Sequence[ScriptRow]]:
    with_sample = [row for row in rows if row.voice_sample_url is not None]
    samples = ledger.samples.behind({row.voice_sample_url or "" for row in with_sample})
    users: dict[str, list[ScriptRow]] = {}
    for row in with_sample:
        sample = samples.get(row.voice_sample_url or "")
        if sample is not None:
            users.setdefault(sample.sha256, []).append(row)
    return users


def _spoken(ledger: Ledger, rows: Sequence[ScriptRow]) -> set[str]:
    voices = ledger.attempts.latest_of(
        kind=Kind.VOICE, content_hashes=[row.voice_hash for row in rows]
    )
    return {content for content, voice in voices.items() if voice.state in _SPOKEN}


def _last_used(ledger: Ledger, attempt: Attempt) -> float | None:
    lines = ledger.deliveries.of_content(kind=Kind.CLONE, content_hash=attempt.content_hash)
    uses = [line.saved_at for line in lines if line.attempt_id == attempt.id]
    return max((use for use in uses if use is not None), default=None)


def delete_clones(
    client: AkoolClient, ledger: Ledger, clones: Sequence[Clone], *, person: str
) -> dict[int, str]:
    """Has AKOOL delete finished clones and writes that down; to repeat it is harmless.

    Args:
        client: Talks to AKOOL.
        ledger: The ledger, opened in the person's name.
        clones: Finished clones.
        person: Who wants it.

    Returns:
        Why a clone is not known to be deleted, by number of its attempt; empty when all are.
    """
    kept: dict[int, str] = {}
    for start in range(0, len(clones), _AT_ONCE):
        part = [clone.attempt for clone in clones[start : start + _AT_ONCE]]
        try:
            answer = client.delete_voices([attempt.remote_id or "" for attempt in part])
        except AkoolError as error:
            kept.update({attempt.id: str(error) for attempt in part})
            continue
        for attempt in part:
            if attempt.remote_id in answer.deleted:
                _deleted(ledger, attempt, reason=f"deleted at AKOOL for {person}")
            elif _is_gone(client, attempt):
                _deleted(ledger, attempt, reason=f"was no longer at AKOOL, found for {person}")
            else:
                kept[attempt.id] = answer.kept.get(attempt.remote_id or "", "")
    return kept


def _deleted(ledger: Ledger, attempt: Attempt, *, reason: str) -> None:
    ledger.attempts.delete(attempt.id, reason=reason, advice=CLONED_ANEW)


def _is_gone(client: AkoolClient, attempt: Attempt) -> bool:
    try:
        client.get_voice(attempt.remote_id or "")
    except NotFound:
        return True
    except AkoolError:
        return False
    return False
