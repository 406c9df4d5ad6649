"""``akool-dagster resolve``: a person's word on a request that is in doubt."""

import getpass
import time

import click

from akool_dagster.cli.exits import stop
from akool_dagster.cli.workplace import ledger_or_stop, settings_or_stop, storage_or_stop
from akool_dagster.ledger import Attempt, Kind, Ledger, State
from akool_dagster.manifest import ScriptRow, read_scripts
from akool_dagster.storage import Storage, StorageError


@click.command()
@click.argument("keys", nargs=-1, required=True, metavar="KEY...")
@click.option("--voice", is_flag=True, help="It is about the voice, not the video.")
@click.option("--video-id", "akool_id", metavar="ID", help="AKOOL took it: this is its _id.")
@click.option("--voice-id", metavar="ID", help="AKOOL took the voice: this is its _id.")
@click.option("--not-created", is_flag=True, help="AKOOL did not take it: nothing was charged.")
@click.option("--pay-again", is_flag=True, help="Allow a new request; it may be charged again.")
def resolve(
    keys: tuple[str, ...],
    voice: bool,
    akool_id: str | None,
    voice_id: str | None,
    not_created: bool,
    pay_again: bool,
) -> None:
    """Settle the request of each script KEY (manifest.script_id), and record who said so."""
    choices = [akool_id is not None, voice_id is not None, not_created, pay_again]
    if sum(choices) != 1:
        stop("Say exactly one of --video-id, --voice-id, --not-created and --pay-again.")
    if len(keys) > 1 and (akool_id or voice_id):
        stop("An id belongs to one script: name one KEY with it.")
    settings = settings_or_stop()
    storage = storage_or_stop(settings)
    person = f"person:{getpass.getuser()}"
    kind = Kind.VOICE if voice or voice_id else Kind.VIDEO
    with ledger_or_stop(settings, actor=person) as ledger:
        attempts = [(key, _attempt(ledger, storage, key, kind)) for key in keys]
        for key, attempt in attempts:
            if pay_again:
                ledger.attempts.allow_paying_again(attempt.id, by=person)
                said = "a new request is allowed and may be charged again; materialize it now"
            elif not_created:
                _not_created(ledger, attempt)
                said = "settled as not created; materialize it again to ask for it"
            else:
                _taken(ledger, attempt, akool_id or voice_id or "")
                said = "settled as accepted; it will be looked at and saved"
            click.echo(f"{key}: {attempt.kind.value} attempt {attempt.number} {said}.")


def _taken(ledger: Ledger, attempt: Attempt, remote_id: str) -> None:
    _must_be_in_doubt(attempt)
    ledger.attempts.accept(
        attempt.id,
        remote_id=remote_id,
        next_look_at=time.time(),
        detail=f"AKOOL id {remote_id}, said by a person",
    )


def _not_created(ledger: Ledger, attempt: Attempt) -> None:
    _must_be_in_doubt(attempt)
    ledger.attempts.refuse(
        attempt.id,
        code=None,
        reason="A person found that AKOOL did not take it.",
        advice="Materialize it again to ask for it.",
        try_again=True,
    )


def _must_be_in_doubt(attempt: Attempt) -> None:
    if attempt.state is not State.IN_DOUBT:
        stop(
            f"The {attempt.kind.value} attempt {attempt.number} is {attempt.state.value}, not in "
            "doubt: nothing was changed. Only --pay-again applies to it."
        )


def _attempt(ledger: Ledger, storage: Storage, key: str, kind: Kind) -> Attempt:
    row = _row(storage, key)
    content_hash = row.voice_hash if kind is Kind.VOICE else row.video_hash
    attempt = ledger.attempts.latest(kind=kind, content_hash=content_hash)
    if attempt is None:
        stop(f"No {kind.value} of {key} was ever asked for: nothing was changed.")
    return attempt


def _row(storage: Storage, key: str) -> ScriptRow:
    manifest, _, script_id = key.partition(".")
    try:
        path = storage.scripts_path(manifest)
    except StorageError as error:
        stop(str(error))
    if not path.exists():
        stop(f"{key!r}: there is no validated manifest {manifest!r}.")
    try:
        return read_scripts(path).row(script_id)
    except KeyError:
        stop(f"{key!r}: the manifest {manifest!r} has no script {script_id!r}.")
