"""``akool-dagster resolve``: a person's word on a request that is in doubt."""

import getpass
import os
import re
import time
from collections.abc import Sequence
from typing import Literal

import click

from akool_dagster.batch.alarms import open_doubts
from akool_dagster.batch.wording import when
from akool_dagster.cli.exits import stop
from akool_dagster.cli.workplace import opened_ledger
from akool_dagster.ledger import Attempt, Kind, Ledger, State
from akool_dagster.manifest import ScriptRow, read_scripts
from akool_dagster.settings import load_settings
from akool_dagster.storage import Storage, open_storage

Word = Literal["taken", "not created", "pay again"]

_SECONDS_BY_UNIT = {"m": 60.0, "h": 3600.0, "d": 86_400.0}
_NOT_SENT_YET = frozenset({State.PLANNED, State.RESERVED, State.SENDING})


class _Age(click.ParamType):
    """A length of time such as ``30m``, ``12h`` or ``2d``, in seconds."""

    name = "age"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([mhd])", str(value).strip().lower())
        if match is None:
            self.fail(f"{value!r} is no length of time: write one such as 30m, 12h or 2d.")
        return float(match[1]) * _SECONDS_BY_UNIT[match[2]]


@click.command()
@click.argument("keys", nargs=-1, metavar="[KEY...]")
@click.option("--all", "every", is_flag=True, help="Every request in doubt; KEYs are manifests.")
@click.option(
    "--older-than",
    type=_Age(),
    default="1h",
    show_default=True,
    metavar="AGE",
    help="With --all: leave younger doubts, which a callback may still settle, alone.",
)
@click.option("--yes", is_flag=True, help="With --all: do not ask back.")
@click.option("--voice", is_flag=True, help="It is about the voice, not the video.")
@click.option("--video-id", metavar="ID", help="AKOOL took the video: this is its _id.")
@click.option("--voice-id", metavar="ID", help="AKOOL took the voice: this is its _id.")
@click.option("--not-created", is_flag=True, help="AKOOL did not take it: nothing was charged.")
@click.option("--pay-again", is_flag=True, help="Allow a new request; it may be charged again.")
def resolve(
    keys: tuple[str, ...],
    every: bool,
    older_than: float,
    yes: bool,
    voice: bool,
    video_id: str | None,
    voice_id: str | None,
    not_created: bool,
    pay_again: bool,
) -> None:
    """Settle the request of each script KEY (manifest.script_id), and record who said so.

    Sends nothing by itself. Either all the keys are settled or, when one of them cannot be, none.
    With --all, voices and videos in doubt are settled alike, or voices only with --voice.
    """
    if sum([video_id is not None, voice_id is not None, not_created, pay_again]) != 1:
        stop("Say exactly one of --video-id, --voice-id, --not-created and --pay-again.")
    if voice and video_id is not None:
        stop("--voice is about the voice and --video-id about the video: say --voice-id ID.")
    if not keys and not every:
        stop("Name the KEYs (manifest.script_id) to settle, or say --all. Nothing was changed.")
    akool_id = video_id if video_id is not None else voice_id
    _check_id(akool_id, keys, every=every)
    word: Word = "pay again" if pay_again else "not created" if not_created else "taken"
    kind = Kind.VOICE if voice or voice_id is not None else Kind.VIDEO
    settings = load_settings()
    person = f"person:{_user()}"
    with opened_ledger(settings, actor=person) as ledger:
        if every:
            chosen = _doubts(ledger, keys, voices_only=voice, older_than=older_than)
            _ask_back(chosen, word, older_than=older_than, yes=yes)
        else:
            chosen = _named(ledger, open_storage(settings.data), keys, kind)
        for key, attempt in chosen:
            _check_state(key, attempt, word)
        if akool_id is not None:
            _check_unused(ledger, kind, akool_id)
        for key, attempt in chosen:
            _settle(ledger, attempt, word, akool_id=akool_id or "", person=person)
            click.echo(f"{key}: {attempt.kind.value} attempt {attempt.number} {_SAID[word]}")
    manifests = dict.fromkeys(key.partition(".")[0] for key, _ in chosen)
    if manifests:
        commands = " and ".join(f"akool-dagster run {name}" for name in manifests)
        click.echo(f"To go on now: {commands}")


def _named(
    ledger: Ledger, storage: Storage, keys: Sequence[str], kind: Kind
) -> list[tuple[str, Attempt]]:
    return [(key, _attempt(ledger, storage, key, kind)) for key in dict.fromkeys(keys)]


def _doubts(
    ledger: Ledger, manifests: Sequence[str], *, voices_only: bool, older_than: float
) -> list[tuple[str, Attempt]]:
    """Finds each attempt in doubt once, with the first script that needs it."""
    ledger.attempts.doubt_the_abandoned()
    latest = time.time() - older_than
    found: dict[int, tuple[str, Attempt]] = {}
    for kind in (Kind.VOICE,) if voices_only else Kind:
        for concern in open_doubts(ledger, kind=kind):
            is_wanted = not manifests or concern.key.partition(".")[0] in manifests
            if is_wanted and (concern.attempt.sending_at or 0.0) <= latest:
                found.setdefault(concern.attempt.id, (concern.key, concern.attempt))
    return list(found.values())


def _ask_back(
    chosen: Sequence[tuple[str, Attempt]], word: Word, *, older_than: float, yes: bool
) -> None:
    if not chosen:
        click.echo(f"No request has been in doubt for {older_than / 3600:g} hours or longer.")
        return
    at_stake = sum(attempt.reserved_credits or 0.0 for _, attempt in chosen)
    requests = f"{len(chosen)} request{'' if len(chosen) == 1 else 's'}"
    click.echo(f"{requests} in doubt, which may have cost up to {at_stake:g} credits:")
    for key, attempt in chosen:
        click.echo(f"  {key} {attempt.kind.value} sent {when(attempt.sending_at)}")
    if not yes and not click.confirm(f"Settle all of them as {word!r}?", err=True):
        stop("Nothing was changed.")


_SAID = {
    "taken": "is settled as accepted: the next run, or video_info_sensor, saves it.",
    "not created": "is settled as not created: the next run or the schedule asks for it again.",
    "pay again": "is given up: the next run or the schedule asks anew, which may be charged again.",
}


def _settle(ledger: Ledger, attempt: Attempt, word: Word, *, akool_id: str, person: str) -> None:
    if word == "pay again":
        ledger.attempts.allow_paying_again(attempt.id, by=person)
    elif word == "not created":
        ledger.attempts.refuse(
            attempt.id,
            code=None,
            reason="A person found that AKOOL did not take it.",
            advice="Materialize it again to ask for it.",
            try_again=True,
        )
    else:
        ledger.attempts.accept(
            attempt.id,
            remote_id=akool_id,
            next_look_at=time.time(),
            detail=f"AKOOL id {akool_id}, said by a person",
        )


def _check_id(akool_id: str | None, keys: Sequence[str], *, every: bool) -> None:
    if akool_id is None:
        return
    if len(keys) > 1 or every:
        stop("An id belongs to one script: name one KEY with it. Nothing was changed.")
    if not akool_id or not akool_id.isascii() or not akool_id.isalnum():
        stop(
            f"{akool_id!r} is no id of AKOOL's, which is letters and digits only, such as "
            "64dd90f9f0b6684651e90d60. Nothing was changed."
        )


def _check_unused(ledger: Ledger, kind: Kind, akool_id: str) -> None:
    """Refuses an id that the ledger knows: it would give one script the video of another."""
    for attempt in ledger.attempts.in_states(kind=kind, states=State):
        if attempt.remote_id == akool_id:
            rows = ledger.deliveries.of_content(kind=kind, content_hash=attempt.content_hash)
            owners = ", ".join(row.script_key for row in rows) or "another script"
            stop(f"AKOOL's id {akool_id} is that of {owners}. Nothing was changed.")


def _check_state(key: str, attempt: Attempt, word: Word) -> None:
    now = f"{key}: {attempt.kind.value} attempt {attempt.number} is {attempt.state.value}"
    now = now.replace("_", " ")
    if word == "pay again" and attempt.state in _NOT_SENT_YET:
        stop(f"{now}: nothing was sent that could be paid again. Nothing was changed.")
    if word != "pay again" and attempt.state is not State.IN_DOUBT:
        stop(f"{now}, not in doubt; only --pay-again applies to it. Nothing was changed.")


def _attempt(ledger: Ledger, storage: Storage, key: str, kind: Kind) -> Attempt:
    row = _row(storage, key)
    content_hash = row.voice_hash if kind is Kind.VOICE else row.video_hash
    attempt = ledger.attempts.latest(kind=kind, content_hash=content_hash)
    if attempt is None:
        stop(f"No {kind.value} of {key} was ever asked for. Nothing was changed.")
    return attempt


def _row(storage: Storage, key: str) -> ScriptRow:
    manifest, _, script_id = key.partition(".")
    path = storage.scripts_path(manifest)
    if not path.exists():
        stop(
            f"{key!r}: there is no validated manifest {manifest!r}. A KEY is manifest.script_id, "
            "as akool-dagster status MANIFEST shows it. Nothing was changed."
        )
    try:
        return read_scripts(path).row(script_id)
    except KeyError:
        stop(
            f"{key!r}: the manifest {manifest!r} has no script {script_id!r}. Nothing was changed."
        )


def _user() -> str:
    """Names the person; a container may run under a number without a name."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return f"uid-{os.getuid()}" if hasattr(os, "getuid") else "unknown"
