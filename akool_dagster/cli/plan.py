"""``akool-dagster plan``: what would be asked for, and what it would cost."""

import contextlib
import gc
import json
import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass

import click

from akool_dagster.batch.avatar_status import never_uploaded
from akool_dagster.batch.preview import Change, Preview, preview
from akool_dagster.batch.prices import PriceBook
from akool_dagster.batch.row_status import RowStatus, statuses_but_saved
from akool_dagster.cli.catalog_report import CatalogReport, age_in_words, catalog_report
from akool_dagster.cli.dagster_home import use_dagster_home
from akool_dagster.cli.exits import Exit, stop
from akool_dagster.cli.tables import stop_in_words, stop_json
from akool_dagster.cli.workplace import checked_manifest, opened_ledger
from akool_dagster.ledger import Ledger
from akool_dagster.manifest import Manifest, ManifestError, read_script_keys
from akool_dagster.settings import Settings, load_settings
from akool_dagster.storage import Storage, open_storage

_PROBLEMS_SHOWN = 20
_REPAIRS_SHOWN = 20
_REMOVED_SHOWN = 5
_UPLOADS_SHOWN = 5
_WIDTH = 80
_MEANINGS = {
    Change.NEW: ("new", "never asked for"),
    Change.CHANGED_VOICE: ("new voice", "text or voice changed: voice and video again"),
    Change.CHANGED_VIDEO: ("new video", "avatar or layout changed: the voice is kept"),
    Change.UNDER_WAY: ("under way", "begun and not finished: a run goes on with them"),
    Change.FAILED: ("failed", "AKOOL refused or failed them"),
    Change.IN_DOUBT: ("in doubt", "may have been charged"),
    Change.DONE: ("done", "unchanged, and their videos are there"),
}


@dataclass(frozen=True, kw_only=True)
class Uploads:
    """The user's own avatars that are named by scripts to ask for, and were never uploaded.

    Attributes:
        avatar_ids: In the order of ``avatars.csv``.
        credits: What uploading them would cost; None while AKOOL has never told a price.
    """

    avatar_ids: Sequence[str]
    credits: float | None


@contextlib.contextmanager
def collecting_no_garbage() -> Iterator[None]:
    """Keeps Python from looking for garbage among rows that all live until the end.

    With 100,000 rows it does so again and again, for a fifth of the time.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@click.command()
@click.argument("manifest")
@click.option(
    "--refresh", is_flag=True, help="Read AKOOL's lists of avatars and voices first; no cost."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def plan(manifest: str, refresh: bool, as_json: bool) -> None:
    """Validate MANIFEST; say what is new, changed and done, and its price; spends nothing.

    MANIFEST is the name of a manifest in the data root, or the path of a CSV or Parquet file.

    Voices and avatars are looked up in the lists of AKOOL's that were saved last: by --refresh, by
    the schedule catalog_refresh, or by a run, which asks AKOOL anew before it fails a script.

    Exit code 0: valid; 1: valid, and by these lists some scripts would fail, before anything is
    spent on them; 2: invalid.
    """
    settings = load_settings()
    storage = open_storage(settings.data)
    if refresh:
        _refresh(settings)
    with collecting_no_garbage():
        code = _tell(settings, storage, manifest, as_json=as_json)
    raise SystemExit(int(code))


def _tell(settings: Settings, storage: Storage, manifest: str, *, as_json: bool) -> Exit:
    try:
        checked = checked_manifest(storage, manifest, settings)
    except ManifestError as error:
        if as_json:
            click.echo(json.dumps(_invalid(error), indent=2))
        stop(f"{error}\n\nNothing was asked for and nothing was spent.", Exit.BAD_INPUT)
    with opened_ledger(settings) as ledger:
        prices = PriceBook.from_ledger(ledger)
        statuses, done_keys = statuses_but_saved(ledger, checked)
        catalogs = catalog_report(ledger, storage, settings, manifest=checked, statuses=statuses)
        seen = preview(
            statuses,
            prices,
            clones_apart=settings.voice_api == "v4",
            known_keys=_known_keys(ledger, storage, checked.name),
            done_keys=done_keys,
        )
        uploads = _uploads(ledger, storage, prices, statuses)
        stopped = ledger.account.open_stop()
    repairs = [str(repair) for repair in checked.repairs]
    code = Exit.SOME_FAILED if catalogs.problems else Exit.DONE
    if as_json:
        summary = {
            "manifest": checked.name,
            "valid": True,
            **_as_json(seen),
            "avatar_uploads": {
                "avatar_ids": list(uploads.avatar_ids),
                "estimated_credits": uploads.credits,
            },
            "languages": _languages(checked),
            **catalogs.as_json(),
            "estimate_rests_on": prices.basis,
            "repairs": repairs,
            "account_stop": stop_json(stopped),
        }
        click.echo(json.dumps(summary, indent=2))
        return code
    lines = [
        _headline(checked),
        *_group_lines(seen),
        *_removed_lines(seen.removed),
        *_wrapped(_shared_in_words(seen)),
        *(_catalog_lines(catalogs, word=manifest) if seen.to_request else ()),
        *_wrapped(_left_in_words(seen, name=checked.name)),
        *_wrapped(_request_in_words(seen, basis=prices.basis)),
        *_wrapped(_uploads_in_words(uploads)),
        *([stop_in_words(stopped)] if stopped is not None else []),
        *_repair_lines(repairs),
    ]
    click.echo("\n".join(lines))
    return code


def _refresh(settings: Settings) -> None:
    """Reads AKOOL's lists through Dagster, as the schedule does."""
    if not settings.has_credential:
        stop(
            "No AKOOL credential is set: set AKOOL_API_KEY, or leave --refresh out. Nothing was "
            "asked for.",
            Exit.ACCOUNT_STOPPED,
        )
    use_dagster_home(settings)
    # Dagster takes a second to import, and a plan mostly does without.
    from akool_dagster.cli.dagster_runs import Runner

    with contextlib.closing(Runner(settings)) as runner:
        ended = runner.refresh_catalogs()
    if not ended.success:
        stop(ended.message, Exit.SOME_FAILED)


def _known_keys(ledger: Ledger, storage: Storage, manifest: str) -> set[str]:
    """The rows that the manifest had before: of the last validation, and of the ledger."""
    keys = ledger.deliveries.keys_of(manifest)
    path = storage.scripts_path(manifest)
    try:
        return keys | set(read_script_keys(path)) if path.exists() else keys
    except ManifestError:  # the copy is damaged; the next validation writes it anew
        return keys


def _uploads(
    ledger: Ledger, storage: Storage, prices: PriceBook, statuses: Iterable[RowStatus]
) -> Uploads:
    named = {each.row.avatar_id or "" for each in statuses if each.may_be_asked_again}
    missing = never_uploaded(ledger, storage, named)
    is_known = prices.avatar is not None
    return Uploads(
        avatar_ids=missing,
        credits=len(missing) * prices.uploaded_avatar() if is_known else None,
    )


def _languages(manifest: Manifest) -> dict[str, int]:
    """How many scripts there are in each language that the rows name."""
    return dict(Counter(manifest.table["language"].dropna().tolist()))


def _invalid(error: ManifestError) -> dict[str, object]:
    return {
        "manifest": error.path.stem,
        "valid": False,
        "problems": [asdict(problem) for problem in error.problems],
    }


def _as_json(seen: Preview) -> dict[str, object]:
    counts = {change.value: group.rows for change, group in seen.groups.items()}
    return {
        "rows": seen.rows,
        **counts,
        "changed": counts["changed_voice"] + counts["changed_video"],
        "removed": list(seen.removed),
        "to_request": seen.to_request,
        "own_audio": seen.own_audio,
        "estimated_seconds": round(seen.seconds),
        "estimated_credits": round(seen.credits, 2),
        "groups": {
            change.value: {
                "rows": group.rows,
                "to_request": group.to_request,
                "estimated_credits": round(group.credits, 2),
                "credits_left": round(group.credits_left, 2),
            }
            for change, group in seen.groups.items()
        },
        "shared": {
            "videos": seen.shares_video,
            "voices": seen.shares_voice,
            "credits_saved": round(seen.credits_shared, 2),
        },
    }


def _headline(manifest: Manifest) -> str:
    rows = manifest.table.index.nunique()
    text = f"{manifest.name}: valid, {_scripts(len(manifest))}"
    if rows == len(manifest):
        return text
    languages = ", ".join(f"{code} {count:,}" for code, count in _languages(manifest).items())
    return f"{text} of {_counted(rows, 'row')} ({languages})"


def _group_lines(seen: Preview) -> list[str]:
    lines = [f"  {'':<10}{'scripts':>9}{'credits':>10}"]
    for change, (name, meaning) in _MEANINGS.items():
        group = seen.groups[change]
        if group.rows:
            price = f"{group.credits:,.0f}" if group.to_request else "-"
            lines.append(f"  {name:<10}{group.rows:>9,}{price:>10}  {meaning}")
    return lines


def _removed_lines(removed: Sequence[str]) -> list[str]:
    if not removed:
        return []
    names = [key.partition(".")[2] for key in removed[:_REMOVED_SHOWN]]
    more = f" and {len(removed) - len(names):,} more" if len(removed) > len(names) else ""
    line = f"  {'removed':<10}{len(removed):>9,}{'-':>10}  "
    return [
        f"{line}no longer in the file; nothing of theirs is deleted",
        *_wrapped(f"({', '.join(names)}{more})", indent=len(line)),
    ]


def _shared_in_words(seen: Preview) -> str:
    shares = [
        f"{_scripts(count)} with another script's {what}"
        for count, what in ((seen.shares_video, "video"), (seen.shares_voice, "voice"))
        if count
    ]
    if not shares:
        return ""
    return f"Shared: {', '.join(shares)}; {_credits(seen.credits_shared)} saved."


def _catalog_lines(report: CatalogReport, *, word: str) -> list[str]:
    problems = report.told_together()
    lines = _wrapped(_catalogs_in_words(report, word=word))
    for where, problem in problems[:_PROBLEMS_SHOWN]:
        lines += _wrapped(f"{where}: {problem.problem}", indent=2)
        lines += _wrapped(f"fix: {problem.fix}", indent=6)
    if len(problems) > _PROBLEMS_SHOWN:
        lines.append(f"  ... and {len(problems) - _PROBLEMS_SHOWN:,} more")
    return lines


def _catalogs_in_words(report: CatalogReport, *, word: str) -> str:
    ages = {"avatars": report.avatars_at, "voices": report.voices_at}
    saved = [f"{what} {age_in_words(at)}" for what, at in ages.items() if at is not None]
    absent = [what for what, at in ages.items() if at is None]
    sentences = []
    if saved:
        found = f"{_scripts(report.scripts)} would fail, before anything is spent on them:"
        sentences.append(
            f"By AKOOL's saved lists ({', '.join(saved)}), "
            f"{found if report.problems else 'all that is asked for exists.'}"
        )
    if absent:
        sentences.insert(
            0,
            f"Not looked up: {' and '.join(absent)}, of which no list of AKOOL's is saved. "
            f"akool-dagster plan {word} --refresh reads them, at no cost; a run does so by itself.",
        )
    return " ".join(sentences)


def _left_in_words(seen: Preview, *, name: str) -> str:
    failed, doubt = seen.groups[Change.FAILED], seen.groups[Change.IN_DOUBT]
    left = failed.rows - failed.to_request
    sentences = []
    if left:
        sentences.append(
            f"Failed scripts that are left alone: {left:,}. Asking for them once more, with "
            f"akool-dagster run {name} --failed, costs about {_credits(failed.credits_left)}."
        )
    if doubt.rows:
        sentences.append(
            f"What is in doubt may have cost {_credits(doubt.credits_left)}: see akool-dagster "
            f"status {name}, then akool-dagster resolve."
        )
    return " ".join(sentences)


def _request_in_words(seen: Preview, *, basis: str) -> str:
    if not seen.to_request:
        return "A run would ask for nothing and spend nothing."
    own = (
        f", not counting the {_scripts(seen.own_audio)} with audio of their own"
        if seen.own_audio
        else ""
    )
    seconds = _counted(seen.seconds, "second")
    return (
        f"A run would ask for {_scripts(seen.to_request)}: about {seconds} of video{own}, "
        f"about {_credits(seen.credits)} ({basis})."
    )


def _uploads_in_words(uploads: Uploads) -> str:
    count = len(uploads.avatar_ids)
    if not count:
        return ""
    names = ", ".join(uploads.avatar_ids[:_UPLOADS_SHOWN])
    more = f" and {count - _UPLOADS_SHOWN:,} more" if count > _UPLOADS_SHOWN else ""
    price = (
        "at a price that nobody knows before: AKOOL publishes none, and has told none so far"
        if uploads.credits is None
        else f"for about {_credits(uploads.credits)}, going by the dearest one so far"
    )
    return (
        f"Not counted: {_counted(count, 'upload')} of own avatars that these scripts need first "
        f"({names}{more}), {price}. akool-dagster avatars --upload sends what is missing."
    )


def _wrapped(text: str, *, indent: int = 0) -> list[str]:
    space = " " * indent
    return textwrap.wrap(
        text,
        _WIDTH,
        initial_indent=space,
        subsequent_indent=space,
        break_on_hyphens=False,
        break_long_words=False,
    )


def _repair_lines(repairs: Sequence[str]) -> list[str]:
    if not repairs:
        return []
    lines = ["Repaired while reading:", *(f"  {repair}" for repair in repairs[:_REPAIRS_SHOWN])]
    if len(repairs) > _REPAIRS_SHOWN:
        lines.append(f"  ... and {len(repairs) - _REPAIRS_SHOWN} more")
    return lines


def _scripts(count: int) -> str:
    return _counted(count, "script")


def _credits(amount: float) -> str:
    return _counted(amount, "credit")


def _counted(amount: float, word: str) -> str:
    number = f"{amount:,.0f}"
    return f"{number} {word}{'' if number == '1' else 's'}"
