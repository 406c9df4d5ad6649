"""``akool-dagster avatars``: the user's own avatars, where each stands, and their upload."""

import contextlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace

import click
from rich.table import Table
from rich.text import Text

from akool_dagster.akool import (
    AccountStopped,
    AkoolClient,
    AkoolError,
    Avatar,
    AvatarSource,
    Status,
)
from akool_dagster.batch.avatar_status import (
    UPLOADED,
    AvatarStanding,
    AvatarStatus,
    avatar_statuses,
)
from akool_dagster.batch.catalogs.listing import nearest
from akool_dagster.batch.outcomes import sentences
from akool_dagster.batch.prices import PriceBook
from akool_dagster.batch.wording import when
from akool_dagster.cli.dagster_home import use_dagster_home
from akool_dagster.cli.exits import Exit, stop
from akool_dagster.cli.tables import stop_in_words, stop_json
from akool_dagster.cli.terminal import open_console
from akool_dagster.cli.voices import opened_client
from akool_dagster.cli.workplace import opened_ledger
from akool_dagster.ledger import AccountStop, Ledger
from akool_dagster.manifest import ManifestError
from akool_dagster.manifest.avatars_file import AVATARS_FILE, AvatarsFile, read_avatars
from akool_dagster.settings import Settings, load_settings
from akool_dagster.storage import Storage, open_storage

_COLOURS = {
    AvatarStanding.READY: "green",
    AvatarStanding.REFUSED: "red",
    AvatarStanding.FAILED: "red",
    AvatarStanding.CHANGED: "red",
    AvatarStanding.IN_DOUBT: "yellow",
}
_WITH_PERSON = frozenset({AvatarStanding.REFUSED, AvatarStanding.FAILED})
_NOTHING_SPENT = "Nothing was sent and nothing was spent."


@dataclass(frozen=True, kw_only=True)
class _AtAkool:
    """AKOOL's own list of the account's own avatars.

    Attributes:
        avatars: Avatar by ``avatar_id``; None when AKOOL could not be asked.
        problem: Why it could not.
    """

    avatars: Mapping[str, Avatar] | None = None
    problem: str = ""


@dataclass(frozen=True, kw_only=True)
class _Upload:
    """What an upload did.

    Attributes:
        chosen: The avatars that it was about.
        told: What its runs said about those that did not get through.
        messages: What its runs said about themselves when they failed as a whole.
    """

    chosen: Sequence[str] = ()
    told: Mapping[str, str] = field(default_factory=dict)
    messages: Sequence[str] = ()


@click.command()
@click.argument("ids", nargs=-1, metavar="[ID...]")
@click.option("--upload", is_flag=True, help="Upload what is missing, or these; may cost credits.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def avatars(ids: tuple[str, ...], upload: bool, as_json: bool) -> None:
    """List your own avatars (avatars.csv in the data root) and upload them to AKOOL, once each.

    --upload alone uploads those that were never sent; naming an ID asks once more for one that
    AKOOL refused or failed. It does not wait: AKOOL works on an avatar for minutes, and a run waits
    for the avatars that its scripts name. What AKOOL has already is never sent again.

    The list ends with exit code 0 only when every avatar is ready, --upload when AKOOL has taken
    every one; 1: some are not; 2: bad input, nothing spent; 3: the account is stopped; 4: it is not
    known whether AKOOL took one.
    """
    settings = load_settings()
    if upload and not settings.has_credential:
        stop(
            "No AKOOL credential is set. Set AKOOL_API_KEY (or AKOOL_CLIENT_ID and "
            f"AKOOL_CLIENT_SECRET). {_NOTHING_SPENT}",
            Exit.ACCOUNT_STOPPED,
        )
    storage = open_storage(settings.data)
    file = _read(storage, ids, upload=upload, as_json=as_json)
    with opened_ledger(settings) as ledger:
        found = _chosen(avatar_statuses(ledger, file.avatars), ids)
        done = _uploaded(settings, ledger, file, found, named=ids) if upload else _Upload()
        names = [status.avatar.avatar_id for status in found]
        with opened_client(settings) as client:
            akool = _ask(client)
        now = _chosen(avatar_statuses(ledger, file.avatars), names)
        now = [_with_akool(status, akool) for status in now]
        account_stop = ledger.account.open_stop()
        price = PriceBook.from_ledger(ledger).uploaded_avatar()
    waits = settings.avatar_not_ready == "wait"
    hints = _hints(now, upload=upload, price=price, waits=waits)
    code = _exit_code(now, done, upload=upload, account_stopped=account_stop is not None)
    if as_json:
        summary = {
            "file": str(storage.path(AVATARS_FILE)),
            "valid": True,
            "avatars": [_as_json(status, done) for status in now],
            "tried": list(done.chosen),
            "problem": akool.problem or None,
            "account_stop": stop_json(account_stop),
            "repairs": [str(repair) for repair in file.repairs],
        }
        click.echo(json.dumps(summary, indent=2))
    else:
        if upload and not done.chosen:
            click.echo(f"Nothing is left to upload. {_NOTHING_SPENT}")
        _show(now, done, akool, hints=hints, account_stop=account_stop)
        for repair in file.repairs:
            click.echo(f"Repaired while reading: {repair}")
    raise SystemExit(int(code))


def _read(storage: Storage, ids: Sequence[str], *, upload: bool, as_json: bool) -> AvatarsFile:
    path = storage.path(AVATARS_FILE)
    if not path.exists():
        hint = f"There is no {path}. One row per avatar makes one: avatar_id,name,url."
        if ids or upload:
            stop(f"{hint} {_NOTHING_SPENT}")
        click.echo(json.dumps({"file": None, "avatars": []}) if as_json else hint)
        raise SystemExit(int(Exit.DONE))
    try:
        return read_avatars(path)
    except ManifestError as error:
        if as_json:
            problems = [asdict(problem) for problem in error.problems]
            summary = {"file": str(path), "valid": False, "problems": problems}
            click.echo(json.dumps(summary, indent=2))
        stop(f"{error}\n\n{_NOTHING_SPENT}")


def _chosen(statuses: Sequence[AvatarStatus], ids: Sequence[str]) -> list[AvatarStatus]:
    by_id = {status.avatar.avatar_id: status for status in statuses}
    unknown = [word for word in ids if word not in by_id]
    if unknown:
        near = nearest(unknown[0], {key: each.avatar.name for key, each in by_id.items()})
        hint = f" Did you mean {' or '.join(near)}?" if near else ""
        stop(f"{', '.join(unknown)}: no avatar_id of {AVATARS_FILE}.{hint} {_NOTHING_SPENT}")
    return [by_id[word] for word in dict.fromkeys(ids)] if ids else list(statuses)


def _uploaded(
    settings: Settings,
    ledger: Ledger,
    file: AvatarsFile,
    found: Sequence[AvatarStatus],
    *,
    named: Sequence[str],
) -> _Upload:
    """Uploads what is missing; what is named is tried whatever came of it before."""
    chosen = [
        status.avatar.avatar_id
        for status in found
        if status.standing not in UPLOADED and (named or _is_missing(status))
    ]
    if not chosen:
        return _Upload()
    use_dagster_home(settings)
    # Dagster takes a second to import: only once there is something to upload.
    from akool_dagster.cli.dagster_runs import Runner
    from akool_dagster.cli.interrupts import insistent_interrupts

    registered = [avatar.avatar_id for avatar in file.avatars]
    with contextlib.closing(Runner(settings)) as runner:
        try:
            with insistent_interrupts():
                runs = list(runner.upload_avatars(chosen, of=registered))
        except KeyboardInterrupt:
            counts = _in_words(avatar_statuses(ledger, file.avatars))
            stop(
                f"Interrupted. What was sent is written down ({counts}); the same command goes on "
                "from there and sends nothing twice.",
                Exit.INTERRUPTED,
            )
    return _Upload(
        chosen=chosen,
        told={key: text for run in runs for key, text in run.told.items()},
        messages=[run.message for run in runs if not run.success and not run.told],
    )


def _is_missing(status: AvatarStatus) -> bool:
    """Whether uploading everything includes it: a doubt is looked up in AKOOL's list, not sent."""
    return status.may_be_sent or status.standing is AvatarStanding.IN_DOUBT


def _ask(client: AkoolClient | None) -> _AtAkool:
    if client is None:
        return _AtAkool(problem="No credential is set (AKOOL_API_KEY): AKOOL was not asked.")
    try:
        listed = client.list_avatars(source=AvatarSource.OWN, kind=None)
    except AccountStopped as error:
        return _AtAkool(problem=f"AKOOL refuses the account: {error}")
    except AkoolError as error:
        return _AtAkool(problem=f"AKOOL's list could not be read: {error}")
    return _AtAkool(avatars={avatar.avatar_id: avatar for avatar in listed})


def _with_akool(status: AvatarStatus, akool: _AtAkool) -> AvatarStatus:
    """Adds what AKOOL's list tells; the ledger learns it from the next run or sensor tick."""
    if akool.avatars is None:
        return status
    avatar_id = status.avatar.avatar_id
    listed = akool.avatars.get(avatar_id)
    if listed is None:
        if status.standing is not AvatarStanding.READY:
            return status
        return replace(
            status,
            standing=AvatarStanding.FAILED,
            cause="It was made, and AKOOL no longer lists it.",
            next_step="Look for it on AKOOL's site. Another avatar_id has it uploaded anew.",
        )
    if status.standing is AvatarStanding.ACCEPTED and listed.status is Status.COMPLETED:
        return replace(status, standing=AvatarStanding.READY, next_step="")
    if status.standing is AvatarStanding.ACCEPTED and listed.status is Status.FAILED:
        told = listed.failure.reason if listed.failure else "it gives no reason"
        return replace(
            status,
            standing=AvatarStanding.FAILED,
            cause=f"AKOOL could not make it: {told}",
            next_step="Give it a better video and, because AKOOL keeps ids, another avatar_id.",
        )
    if status.standing is AvatarStanding.NEW:
        return replace(
            status,
            cause="AKOOL has an avatar of this id that was not uploaded here.",
            next_step=f"To use that one: akool-dagster avatars --upload {avatar_id}; it is taken "
            "over, nothing is uploaded.",
        )
    if status.standing is AvatarStanding.IN_DOUBT:
        return replace(
            status,
            next_step=f"AKOOL lists it: akool-dagster avatars --upload {avatar_id} settles it and "
            "sends nothing.",
        )
    return status


def _exit_code(
    statuses: Sequence[AvatarStatus], done: _Upload, *, upload: bool, account_stopped: bool
) -> Exit:
    good = UPLOADED if upload else {AvatarStanding.READY}
    standings = {status.standing for status in statuses}
    if standings <= good and not done.messages:
        return Exit.DONE
    if account_stopped:
        return Exit.ACCOUNT_STOPPED
    return Exit.IN_DOUBT if AvatarStanding.IN_DOUBT in standings else Exit.SOME_FAILED


def _show(
    statuses: Sequence[AvatarStatus],
    done: _Upload,
    akool: _AtAkool,
    *,
    hints: Sequence[str],
    account_stop: AccountStop | None,
) -> None:
    console = open_console()
    console.print(_table(statuses, done))
    for message in done.messages:
        click.echo(message, err=True)
    if akool.problem:
        console.print(akool.problem, soft_wrap=True)
    if account_stop is not None:
        console.print(stop_in_words(account_stop), style="red", soft_wrap=True)
    for line in hints:
        console.print(line, soft_wrap=True)


def _hints(
    statuses: Sequence[AvatarStatus], *, upload: bool, price: float, waits: bool
) -> list[str]:
    missing = sum(status.may_be_sent for status in statuses)
    lines = []
    if missing and not upload:
        lines.append(
            f"Not uploaded yet: {missing}. To upload them, which may cost about "
            f"{missing * price:,.0f} credits (AKOOL publishes no price): akool-dagster avatars "
            "--upload"
        )
    if any(status.standing is AvatarStanding.ACCEPTED for status in statuses):
        scripts = (
            "Scripts may be run at once: each waits for its avatar."
            if waits
            else "Run their scripts then: AKOOL_AVATAR_NOT_READY=fail has them fail before."
        )
        lines.append(
            "AKOOL works on what is in the making for some minutes; `akool-dagster avatars` tells "
            f"when it is ready. {scripts}"
        )
    left = [each.avatar.avatar_id for each in statuses if each.standing in _WITH_PERSON]
    if upload and left:
        lines.append(
            "What AKOOL refused or failed is left alone; to ask for it once more, which may be "
            f"paid again: akool-dagster avatars --upload {' '.join(left)}"
        )
    return lines


def _table(statuses: Sequence[AvatarStatus], done: _Upload) -> Table:
    table = Table()
    table.add_column("avatar_id", overflow="fold", min_width=12)
    table.add_column("status", no_wrap=True)
    table.add_column("sent", no_wrap=True)
    table.add_column("link, or what happened and what to do", overflow="fold", ratio=1)
    for status in statuses:
        table.add_row(
            status.avatar.avatar_id,
            Text(status.standing.value, style=_COLOURS.get(status.standing, "")),
            _sent(status) or "",
            _explained(status, done),
        )
    return table


def _explained(status: AvatarStatus, done: _Upload) -> str:
    told = done.told.get(status.avatar.avatar_id)
    if told is not None and status.standing is AvatarStanding.NEW:
        return told  # the run knows more than the ledger where nothing was sent
    return sentences(status.cause, status.next_step) if status.cause else status.avatar.url


def _sent(status: AvatarStatus) -> str | None:
    return when(status.upload.sending_at) if status.upload else None


def _in_words(statuses: Sequence[AvatarStatus]) -> str:
    counts = Counter(status.standing.value for status in statuses)
    return ", ".join(f"{count} {word}" for word, count in counts.most_common())


def _as_json(status: AvatarStatus, done: _Upload) -> dict[str, object]:
    avatar, upload = status.avatar, status.upload
    return {
        "avatar_id": avatar.avatar_id,
        "name": avatar.name,
        "url": avatar.url,
        "line": avatar.line,
        "status": status.standing.value,
        "cause": status.cause or done.told.get(avatar.avatar_id, ""),
        "next_step": status.next_step,
        "akool_id": upload.remote_id if upload else None,
        "akool_code": upload.code if upload else None,
        "attempt": upload.number if upload else None,
        "sent": _sent(status),
        "credits": upload.spent_credits if upload else None,
    }
