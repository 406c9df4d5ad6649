"""``akool-dagster voices``: the cloned voices that were made here, and how to delete them."""

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import click
from pydantic import SecretStr
from rich.table import Table

from akool_dagster.akool import (
    AccountStopped,
    AkoolClient,
    AkoolError,
    Timeouts,
    Voice,
    choose_credential,
)
from akool_dagster.batch.clones import Clone, clones_made, delete_clones
from akool_dagster.batch.wording import clone_name, when
from akool_dagster.cli.exits import Exit, stop
from akool_dagster.cli.resolve import person_name
from akool_dagster.cli.terminal import open_console
from akool_dagster.cli.workplace import opened_ledger
from akool_dagster.ledger import Ledger, State
from akool_dagster.manifest import ScriptRow
from akool_dagster.manifest.scripts import read_rows
from akool_dagster.settings import Settings, load_settings
from akool_dagster.storage import Storage, open_storage

_PATIENCE = Timeouts(connect_seconds=5, read_seconds=30, total_seconds=60)
_ROWS_NAMED = 5
_PLANS = "plans hold 30 (Pro), 180 (Pro Max) or 500 (Business)"
_STATES = {
    State.COMPLETED: "ready",
    State.SENDING: "being sent",
    State.ACCEPTED: "being made",
    State.IN_DOUBT: "in doubt",
}


@dataclass(frozen=True, kw_only=True)
class _AtAkool:
    """AKOOL's own list of the account's cloned voices.

    Attributes:
        voices: The finished ones; None when AKOOL could not be asked.
        problem: Why it could not.
    """

    voices: Sequence[Voice] | None = None
    problem: str = ""

    def has(self, clone: Clone) -> bool | None:
        """Whether a finished clone is in the list; None when that is not known."""
        if self.voices is None or not clone.is_ready:
            return None
        return any(voice.record_id == clone.attempt.remote_id for voice in self.voices)

    def namesakes(self, clone: Clone, *, known: set[str | None]) -> list[str]:
        """Ids of voices that bear a clone's name, and that the ledger does not know."""
        name = clone_name(clone.attempt.content_hash)
        voices = [voice for voice in self.voices or () if voice.name == name]
        return [voice.id for voice in voices if voice.record_id not in known]


@dataclass(frozen=True, kw_only=True)
class _Deletion:
    """What became of the clones that were to be deleted.

    Attributes:
        deleted: AKOOL's ids of those that are gone.
        kept: Why others are not, by AKOOL's id.
    """

    deleted: Sequence[str] = ()
    kept: Mapping[str, str] = field(default_factory=dict)


@click.command()
@click.argument("ids", nargs=-1, metavar="[ID...]")
@click.option("--delete", is_flag=True, help="Delete these voices at AKOOL; name them or --unused.")
@click.option("--unused", is_flag=True, help="Those whose sample no script of a manifest names.")
@click.option("--force", is_flag=True, help="With --delete: also voices that a run needs now.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def voices(ids: tuple[str, ...], delete: bool, unused: bool, force: bool, as_json: bool) -> None:
    """List the cloned voices that were made here, and delete those that are not needed.

    A voice is cloned once for each sample (column voice_sample_url, AKOOL_VOICE_API=v4) and kept
    at AKOOL, where a plan holds a limited number. One that is deleted is cloned anew, and maybe
    paid again, when a script needs it. Voices that were made elsewhere are never touched.
    """
    if delete and not ids and not unused:
        stop("Name the voices to delete by their ids, or say --unused. Nothing was deleted.")
    settings = load_settings()
    storage = open_storage(settings.data)
    person = f"person:{person_name()}"
    with opened_ledger(settings, actor=person) as ledger, opened_client(settings) as client:
        made = clones_made(ledger, _rows(storage))
        chosen = _chosen(made, ids, unused=unused)
        deletion = _Deletion()
        if delete:
            _check_deletable(ledger, chosen, force=force)
            deletion = _delete(client, ledger, chosen, person=person)
            gone = set(deletion.deleted)
            made = [clone for clone in made if clone.attempt.remote_id not in gone]
            chosen = [clone for clone in chosen if clone.attempt.remote_id not in gone]
        akool = _ask(client)
    if as_json:
        click.echo(json.dumps(_as_json(chosen, made, akool, deletion), indent=2))
    else:
        _show(chosen, made, akool, deletion, is_list=not delete)
    raise SystemExit(int(Exit.SOME_FAILED if deletion.kept else Exit.DONE))


def _rows(storage: Storage) -> Iterator[ScriptRow]:
    for path in sorted((storage.root / "scripts").glob("*.parquet")):
        yield from read_rows(path).values()


@contextlib.contextmanager
def opened_client(settings: Settings) -> Iterator[AkoolClient | None]:
    """Opens a client for a few quick calls.

    Args:
        settings: Name AKOOL and the credential.

    Yields:
        The client; None without a credential, for the ledger alone can be listed as well. Ends the
        command when the credential cannot be used.
    """
    try:
        credential = choose_credential(
            api_key=_plain(settings.api_key),
            client_id=settings.client_id,
            client_secret=_plain(settings.client_secret),
        )
    except ValueError as error:
        stop(str(error))
    if credential is None:
        yield None
        return
    with AkoolClient(credential, base_url=settings.base_url, timeouts=_PATIENCE) as client:
        yield client


def _plain(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()


def _chosen(made: Sequence[Clone], ids: Sequence[str], *, unused: bool) -> list[Clone]:
    by_id = {clone.attempt.remote_id: clone for clone in made if clone.attempt.remote_id}
    foreign = [word for word in ids if word not in by_id]
    if foreign:
        stop(
            f"{', '.join(foreign)}: no cloned voice of this id was made here, or it is deleted "
            "already. `akool-dagster voices` lists those that were. Nothing was deleted."
        )
    if ids:
        return [by_id[word] for word in dict.fromkeys(ids) if not (unused and by_id[word].rows)]
    return [clone for clone in made if not (unused and (clone.rows or not clone.is_ready))]


def _check_deletable(ledger: Ledger, chosen: Sequence[Clone], *, force: bool) -> None:
    unready = [clone.attempt.remote_id or "" for clone in chosen if not clone.is_ready]
    if unready:
        stop(f"{', '.join(unready)}: AKOOL is still making it. Nothing was deleted.")
    needed = [clone for clone in chosen if clone.unspoken]
    if force or not needed or not ledger.run_signs.living():
        return
    cases = "; ".join(
        f"{clone.attempt.remote_id} has to speak {_some(clone.unspoken)}" for clone in needed
    )
    stop(
        f"A run is at work, and needs what was to be deleted: {cases}. Wait until it has ended, "
        "or say --force: those scripts then fail, and the next run has their voice cloned anew. "
        "Nothing was deleted."
    )


def _delete(
    client: AkoolClient | None, ledger: Ledger, chosen: Sequence[Clone], *, person: str
) -> _Deletion:
    if client is None:
        stop("No credential is set: set AKOOL_API_KEY. Nothing was deleted.")
    kept = delete_clones(client, ledger, chosen, person=person)
    return _Deletion(
        deleted=[clone.attempt.remote_id or "" for clone in chosen if clone.attempt.id not in kept],
        kept={
            clone.attempt.remote_id or "": kept[clone.attempt.id]
            for clone in chosen
            if clone.attempt.id in kept
        },
    )


def _ask(client: AkoolClient | None) -> _AtAkool:
    if client is None:
        return _AtAkool(problem="No credential is set (AKOOL_API_KEY): AKOOL was not asked.")
    try:
        listed = client.list_voices("v4")
    except AccountStopped as error:
        return _AtAkool(problem=f"AKOOL refuses the account: {error}")
    except AkoolError as error:
        return _AtAkool(problem=f"AKOOL's list could not be read: {error}")
    return _AtAkool(voices=[voice for voice in listed if voice.is_own])


def _show(
    chosen: Sequence[Clone],
    made: Sequence[Clone],
    akool: _AtAkool,
    deletion: _Deletion,
    *,
    is_list: bool,
) -> None:
    console = open_console()
    for voice in deletion.deleted:
        console.print(f"{voice}: deleted", soft_wrap=True)
    for voice, why in deletion.kept.items():
        console.print(f"{voice}: not deleted: {why}", style="red", soft_wrap=True, markup=False)
    if is_list and chosen:
        console.print(_table(chosen, akool))
    elif is_list:
        console.print("No cloned voice that was made here is at AKOOL.", soft_wrap=True)
    for clone in chosen:
        for voice in akool.namesakes(clone, known=_ids(made)):
            console.print(
                f"AKOOL has a voice {voice} of the name {clone_name(clone.attempt.content_hash)!r}"
                f" that the ledger does not know: it may be the one of {_some(clone.rows)}.",
                soft_wrap=True,
            )
    if akool.voices is None:
        console.print(akool.problem, soft_wrap=True, markup=False)
    else:
        console.print(
            f"AKOOL holds {len(akool.voices)} cloned voices of this account; {_PLANS}.",
            soft_wrap=True,
        )


def _table(clones: Sequence[Clone], akool: _AtAkool) -> Table:
    table = Table()
    table.add_column("id", overflow="fold", min_width=12)
    table.add_column("state", overflow="fold")
    table.add_column("sample", overflow="fold", ratio=1)
    table.add_column("made", overflow="fold")
    table.add_column("scripts", justify="right", no_wrap=True)
    table.add_column("last used", overflow="fold")
    for clone in clones:
        table.add_row(
            clone.attempt.remote_id or "not known",
            _state(clone, akool),
            "\n".join(clone.links),
            when(clone.attempt.settled_at) or "",
            str(len(clone.rows)),
            when(clone.last_used) or "",
        )
    return table


def _state(clone: Clone, akool: _AtAkool) -> str:
    if akool.has(clone) is False:
        return "missing at AKOOL"
    return _STATES[clone.attempt.state]


def _ids(clones: Sequence[Clone]) -> set[str | None]:
    return {clone.attempt.remote_id for clone in clones}


def _as_json(
    chosen: Sequence[Clone], made: Sequence[Clone], akool: _AtAkool, deletion: _Deletion
) -> dict[str, object]:
    return {
        "held_at_akool": None if akool.voices is None else len(akool.voices),
        "problem": akool.problem or None,
        "voices": [_clone_json(clone, made, akool) for clone in chosen],
        "deleted": list(deletion.deleted),
        "not_deleted": dict(deletion.kept),
    }


def _clone_json(clone: Clone, made: Sequence[Clone], akool: _AtAkool) -> dict[str, object]:
    attempt = clone.attempt
    return {
        "id": attempt.remote_id,
        "voice_id": clone.voice_id,
        "name": clone_name(attempt.content_hash),
        "state": _STATES[attempt.state],
        "is_at_akool": akool.has(clone),
        "sample_sha256": attempt.content_hash,
        "samples": list(clone.links),
        "attempt": attempt.number,
        "made": when(attempt.settled_at),
        "credits": attempt.spent_credits,
        "scripts": list(clone.rows),
        "scripts_to_speak": list(clone.unspoken),
        "last_used": when(clone.last_used),
        "namesakes": akool.namesakes(clone, known=_ids(made)),
    }


def _some(keys: Sequence[str]) -> str:
    more = len(keys) - _ROWS_NAMED
    named = ", ".join(keys[:_ROWS_NAMED]) or "no script of today's manifests"
    return f"{named} and {more} more" if more > 0 else named
