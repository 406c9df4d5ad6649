"""``akool-dagster retire``: finished manifests leave the Dagster UI, and nothing is deleted."""

import json
from collections.abc import Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING

import click

from akool_dagster.cli.dagster_home import use_dagster_home
from akool_dagster.cli.exits import stop
from akool_dagster.cli.workplace import opened_ledger
from akool_dagster.file_endings import MANIFEST_SUFFIXES
from akool_dagster.settings import load_settings
from akool_dagster.storage import Storage, open_storage

if TYPE_CHECKING:
    from akool_dagster.automation.retiring import Candidate

_KEPT = (
    "Videos, results and the ledger's history are kept, and so is Dagster's own record of runs and "
    "materializations."
)


@click.command()
@click.argument("manifests", nargs=-1, required=True, metavar="MANIFEST...")
@click.option("--unfinished-too", is_flag=True, help="Also with scripts that have no video.")
@click.option("--yes", is_flag=True, help="Do not ask back.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def retire(manifests: tuple[str, ...], unfinished_too: bool, yes: bool, as_json: bool) -> None:
    """Take finished manifests out of the Dagster UI, which gets slow with very many partitions.

    Their partitions are taken out of Dagster, and their files moved to manifests/retired in the
    data root. Nothing that was made is deleted, and nothing is sent. To bring one back, move its
    file back: its partitions return as they were.

    Either all are retired or, when anything of one is under way, in doubt or not saved, none.
    """
    settings = load_settings()
    storage = open_storage(settings.data)
    names = list(dict.fromkeys(_name(word) for word in manifests))
    home = use_dagster_home(settings)
    # Dagster takes a second to import: only once the words are known to be good.
    import dagster as dg

    from akool_dagster.automation.retiring import Retiring

    with dg.DagsterInstance.get() as instance, opened_ledger(settings) as ledger:
        retiring = Retiring(instance, ledger=ledger, storage=storage, unfinished_too=unfinished_too)
        candidates = retiring.look(names)
        _check_known(candidates, storage)
        _check_free(candidates, as_json=as_json)
        _ask_back(candidates, home=str(home), yes=yes)
        candidates = retiring.retire(names)
        _check_free(candidates, as_json=as_json)
    if as_json:
        click.echo(json.dumps(_as_json(candidates), indent=2))
        return
    for candidate in candidates:
        click.echo(f"{_in_words(candidate)}; retired.")
    folder = storage.root / "manifests"
    click.echo(f"{_KEPT} To bring one back, move its file from {folder / 'retired'} to {folder}.")


def _name(word: str) -> str:
    path = PurePath(word)
    return path.stem if path.suffix.lower() in MANIFEST_SUFFIXES else word


def _check_known(candidates: Sequence["Candidate"], storage: Storage) -> None:
    files = {path.stem for path in (*storage.manifests(), *storage.retired_manifests())}
    strangers = [
        candidate.name
        for candidate in candidates
        if not (candidate.keys or candidate.is_known or candidate.name in files)
    ]
    if strangers:
        known = ", ".join(sorted({path.stem for path in storage.manifests()})) or "none"
        stop(
            f"There is no manifest {', '.join(map(repr, strangers))}: neither a file in "
            f"{storage.root / 'manifests'} (there: {known}) nor partitions in Dagster. Nothing was "
            "changed."
        )


def _check_free(candidates: Sequence["Candidate"], *, as_json: bool) -> None:
    """Ends the command when anything is in the way of one of them."""
    if not any(candidate.in_the_way for candidate in candidates):
        return
    if as_json:
        click.echo(json.dumps(_as_json(candidates), indent=2))
    told = [f"{c.name}: {reason}" for c in candidates for reason in c.in_the_way]
    stop("\n".join([*told, "Nothing was changed."]))


def _ask_back(candidates: Sequence["Candidate"], *, home: str, yes: bool) -> None:
    if yes:
        return
    for candidate in candidates:
        click.echo(_in_words(candidate), err=True)
    click.echo(f"Their partitions leave the Dagster of {home}. {_KEPT}", err=True)
    one = len(candidates) == 1
    question = "Retire it?" if one else f"Retire these {len(candidates)} manifests?"
    if not click.confirm(question, err=True):
        stop("Nothing was changed.")


def _in_words(candidate: "Candidate") -> str:
    missing = sum(candidate.unfinished.values())
    rows = f"{candidate.rows:,} script{'' if candidate.rows == 1 else 's'}"
    without = f", {missing:,} of them without a video" if missing else ""
    gone = "" if candidate.keys or candidate.is_known else ", in Dagster no more"
    return f"{candidate.name}: {rows}{without}{gone}"


def _as_json(candidates: Sequence["Candidate"]) -> dict[str, object]:
    is_refused = any(candidate.in_the_way for candidate in candidates)
    return {
        "retired": [] if is_refused else [candidate.name for candidate in candidates],
        "manifests": {
            candidate.name: {
                "scripts": candidate.rows,
                "partitions": len(candidate.keys),
                "unfinished": dict(candidate.unfinished),
                "in_the_way": list(candidate.in_the_way),
            }
            for candidate in candidates
        },
    }
