"""``akool-dagster status``: where every script stands."""

import json
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import PurePath

import click

from akool_dagster.batch.alarms import warnings
from akool_dagster.batch.row_status import RowStatus, row_statuses
from akool_dagster.cli.exits import exit_code, stop
from akool_dagster.cli.tables import (
    counts_table,
    row_json,
    rows_table,
    spend_table,
    stop_in_words,
    stop_json,
)
from akool_dagster.cli.terminal import open_console
from akool_dagster.cli.workplace import opened_ledger
from akool_dagster.file_endings import MANIFEST_SUFFIXES
from akool_dagster.ledger import AccountStop, Ledger, Spend
from akool_dagster.manifest.scripts import read_rows
from akool_dagster.settings import Settings, load_settings
from akool_dagster.storage import Storage, open_storage

_DAYS_SHOWN = 14


@dataclass(frozen=True, kw_only=True)
class _State:
    """What the ledger says of some manifests, and of the account as a whole."""

    rows: Mapping[str, Sequence[RowStatus]] = field(default_factory=dict)
    by_manifest: Mapping[str, Spend] = field(default_factory=dict)
    by_day: Mapping[str, Spend] = field(default_factory=dict)
    account_stop: AccountStop | None = None
    learned_limit: float | None = None
    warnings: Sequence[str] = ()


@click.command()
@click.argument("manifest", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def status(manifest: str | None, as_json: bool) -> None:
    """Show where every script stands, of MANIFEST or of all, and what it cost.

    Asks nobody but the ledger. Warns of finished videos that AKOOL will delete within 48 hours.

    The exit code is 0 only when every video is there; see `akool-dagster --help`.
    """
    settings = load_settings()
    storage = open_storage(settings.data)
    names = _names(storage, manifest)
    # A ledger is not made where there is nothing to look up.
    state = _look_up(settings, storage, names) if names else _State()
    if as_json:
        click.echo(json.dumps(_as_json(state), indent=2))
    else:
        _show(state, settings=settings, storage=storage, is_one=manifest is not None)
    rows = [row for rows in state.rows.values() for row in rows]
    raise SystemExit(int(exit_code(rows, account_stopped=state.account_stop is not None)))


def _look_up(settings: Settings, storage: Storage, names: Sequence[str]) -> _State:
    with opened_ledger(settings) as ledger:
        by_manifest = ledger.spending.by_manifest()
        return _State(
            rows={name: statuses_of(ledger, storage, name) for name in names},
            by_manifest={name: by_manifest[name] for name in names if name in by_manifest},
            by_day={str(day): spend for day, spend in ledger.spending.by_day().items()},
            account_stop=ledger.account.open_stop(),
            learned_limit=ledger.attempts.learned_limit(),
            warnings=warnings(ledger, now=time.time()),
        )


def statuses_of(ledger: Ledger, storage: Storage, manifest: str) -> list[RowStatus]:
    """Looks up the rows of a validated manifest.

    Args:
        ledger: Knows their history.
        storage: Holds the validated manifest.
        manifest: Its name.

    Returns:
        One status per row, in the order of the file.
    """
    return row_statuses(ledger, read_rows(storage.scripts_path(manifest)).values())


def _names(storage: Storage, manifest: str | None) -> Sequence[str]:
    validated = sorted(path.stem for path in (storage.root / "scripts").glob("*.parquet"))
    if manifest is None:
        return validated
    word = PurePath(manifest)
    name = word.stem if word.suffix.lower() in MANIFEST_SUFFIXES else manifest
    if name not in validated:
        known = ", ".join(validated) or "none"
        stop(
            f"{name!r} is no manifest that was asked for; there are: {known}. "
            f"What a run would ask for says: akool-dagster plan {manifest}"
        )
    return [name]


def _show(state: _State, *, settings: Settings, storage: Storage, is_one: bool) -> None:
    console = open_console()
    if not state.rows:
        folder = storage.root / "manifests"
        console.print(
            f"Nothing was asked for yet. Put a manifest into {folder}, then: akool-dagster plan "
            "MANIFEST",
            soft_wrap=True,
        )
        return
    console.print(counts_table(state.rows))
    if is_one:
        console.print(rows_table([row for rows in state.rows.values() for row in rows]))
    console.print(f"Files are under {storage.root}", soft_wrap=True)
    if state.by_manifest:
        console.print("Credits, estimated before each request and as AKOOL tells them:")
        console.print(spend_table(state.by_manifest, of="manifest"))
    if state.by_day and not is_one:
        days = dict(list(state.by_day.items())[-_DAYS_SHOWN:])
        console.print(spend_table(days, of="day (UTC)"))
    if state.learned_limit is not None:
        console.print(
            f"AKOOL seems to take {state.learned_limit:.1f} videos at once; AKOOL_MAX_IN_FLIGHT is "
            f"{settings.max_in_flight}.",
            soft_wrap=True,
        )
    for warning in state.warnings:
        console.print(warning, style="red", soft_wrap=True)
    if state.account_stop is not None:
        console.print(stop_in_words(state.account_stop), style="red")


def _as_json(state: _State) -> dict[str, object]:
    return {
        "account_stop": stop_json(state.account_stop),
        "manifests": {
            name: {
                "counts": dict(Counter(row.standing.value for row in rows)),
                "scripts": [row_json(row) for row in rows],
            }
            for name, rows in state.rows.items()
        },
        "credits": {
            "by_manifest": {name: asdict(spend) for name, spend in state.by_manifest.items()},
            "by_day": {day: asdict(spend) for day, spend in state.by_day.items()},
        },
        "learned_limit": state.learned_limit,
        "warnings": list(state.warnings),
    }
