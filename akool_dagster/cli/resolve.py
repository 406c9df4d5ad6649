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
from akool_dagster.manifest import ScriptRow
from akool_dagster.manifest.scripts import read_rows
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
@click.option("--clone", is_flag=True, help="It is about the clone of the row's voice sample.")
@click.option("--avatar", is_flag=True, help="KEY is an avatar_id: it is about its upload.")
@click.option("--video-id", metavar="ID", help="AKOOL took the video: this is its _id.")
@click.option("--voice-id", metavar="ID", help="AKOOL took the voice: this is its _id.")
@click.option("--clone-id", metavar="ID", help="AKOOL took the clone: this is its _id.")
@click.option("--avatar-id", metavar="ID", help="AKOOL took the upload: this is its _id.")
@click.option("--not-created", is_flag=True, help="AKOOL did not take it: nothing was charged.")
@click.option("--pay-again", is_flag=True, help="Allow a new request; it may be charged again.")
def resolve(
    keys: tuple[str, ...],
    every: bool,
    older_than: float,
    yes: bool,
    voice: bool,
    clone: bool,
    avatar: bool,
    video_id: str | None,
    voice_id: str | None,
    clone_id: str | None,
    avatar_id: str | None,
    not_created: bool,
    pay_again: bool,
) -> None:
    """Settle the request of each script KEY (manifest.script_id), and record who said so.

    Sends nothing by itself. Either all the keys are settled or, when one of them cannot be, none.
    With --all, all kinds of requests in doubt are settled alike, or only those that --voice,
    --clone or --avatar names. A clone is settled for every script with the same voice sample.
    """
    ids = {
        Kind.VIDEO: video_id,
        Kind.VOICE: voice_id,
        Kind.CLONE: clone_id,
        Kind.AVATAR: avatar_id,
    }
    ids = {kind: akool_id for kind, akool_id in ids.items() if akool_id is not None}
    if len(ids) + not_created + pay_again != 1:
        stop(
            "Say exactly one of --video-id, --voice-id, --clone-id, --avatar-id, --not-created and "
            "--pay-again."
        )
    flags = {Kind.VOICE: voice, Kind.CLONE: clone, Kind.AVATAR: avatar}
    kind = _kind([*(kind for kind, is_said in flags.items() if is_said), *ids])
    if not keys and not every:
        stop("Name the KEYs (manifest.script_id) to settle, or say --all. Nothing was changed.")
    akool_id = next(iter(ids.values()), None)
    _check_id(akool_id, keys, every=every)
    word: Word = "pay again" if pay_again else "not created" if not_created else "taken"
    settings = load_settings()
    person = f"person:{person_name()}"
    with opened_ledger(settings, actor=person) as ledger:
        if every:
            chosen = _doubts(ledger, keys, kind=kind, older_than=older_than)
            _ask_back(chosen, word, older_than=older_than, yes=yes)
        else:
            chosen = _named(ledger, open_storage(settings.data), keys, kind or Kind.VIDEO)
        for key, attempt in chosen:
            _check_state(key, attempt, word)
        if akool_id is not None:
            _check_unused(ledger, kind or Kind.VIDEO, akool_id)
        for key, attempt in chosen:
            _settle(ledger, attempt, word, akool_id=akool_id or "", person=person)
            click.echo(f"{key}: {attempt.kind.value} attempt {attempt.number} {_SAID[word]}")
    _say_how_to_go_on(chosen)


def _say_how_to_go_on(chosen: Sequence[tuple[str, Attempt]]) -> None:
    manifests = dict.fromkeys(
        key.partition(".")[0] for key, attempt in chosen if attempt.kind is not Kind.AVATAR
    )
    ways = [f"akool-dagster run {name}" for name in manifests]
    if any(attempt.kind is Kind.AVATAR for _, attempt in chosen):
        ways.append("akool-dagster avatars --upload")
    if ways:
        click.echo(f"To go on now: {' and '.join(ways)}")


def _kind(named: Sequence[Kind]) -> Kind | None:
    """Tells which kind of request the options name, None where they name none."""
    if len(set(named)) > 1:
        stop(
            "The options name requests of different kinds: say --voice-id ID for a voice, "
            "--clone-id ID for a clone, --avatar-id ID for an avatar, --video-id ID for a video; "
            "--voice, --clone and --avatar go with what has no id. Nothing was changed."
        )
    return named[0] if named else None


def _named(
    ledger: Ledger, storage: Storage, keys: Sequence[str], kind: Kind
) -> list[tuple[str, Attempt]]:
    return [(key, _attempt(ledger, storage, key, kind)) for key in dict.fromkeys(keys)]


def _doubts(
    ledger: Ledger, manifests: Sequence[str], *, kind: Kind | None, older_than: float
) -> list[tuple[str, Attempt]]:
    """Finds each attempt in doubt once, with the first script that needs it."""
    ledger.attempts.doubt_the_abandoned()
    latest = time.time() - older_than
    found: dict[int, tuple[str, Attempt]] = {}
    for each in Kind if kind is None else (kind,):
        for concern in open_doubts(ledger, kind=each):
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
    if kind is Kind.AVATAR:
        return _upload(ledger, key)
    row = _row(storage, key)
    attempt = ledger.attempts.latest(kind=kind, content_hash=_content(ledger, row, kind))
    if attempt is None:
        stop(f"No {kind.value} of {key} was ever asked for. Nothing was changed.")
    return attempt


def _upload(ledger: Ledger, avatar_id: str) -> Attempt:
    asked = ledger.deliveries.of_key(kind=Kind.AVATAR, script_key=avatar_id)
    uploads = ledger.attempts.latest_of(
        kind=Kind.AVATAR, content_hashes=[line.content_hash for line in asked]
    )
    if not uploads:
        stop(f"No upload of the avatar {avatar_id} was ever asked for. Nothing was changed.")
    return max(uploads.values(), key=lambda attempt: attempt.id)


def _content(ledger: Ledger, row: ScriptRow, kind: Kind) -> str:
    if kind is not Kind.CLONE:
        return row.voice_hash if kind is Kind.VOICE else row.video_hash
    url = row.voice_sample_url
    sample = None if url is None else ledger.samples.behind([url]).get(url)
    if sample is None:
        stop(f"No clone for {row.key} was ever asked for. Nothing was changed.")
    return sample.sha256


def _row(storage: Storage, key: str) -> ScriptRow:
    manifest, _, script_id = key.partition(".")
    path = storage.scripts_path(manifest)
    if not path.exists():
        stop(
            f"{key!r}: there is no validated manifest {manifest!r}. A KEY is manifest.script_id, "
            "as akool-dagster status MANIFEST shows it. Nothing was changed."
        )
    row = read_rows(path, keys=[key]).get(key)
    if row is None:
        stop(
            f"{key!r}: the manifest {manifest!r} has no script {script_id!r}. Nothing was changed."
        )
    return row


def person_name() -> str:
    """Names the person at the terminal; a container may run under a number without a name.

    Returns:
        A name for the ledger's history.
    """
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return f"uid-{os.getuid()}" if hasattr(os, "getuid") else "unknown"
