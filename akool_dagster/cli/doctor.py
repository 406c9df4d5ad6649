"""``akool-dagster doctor``: checks what can be checked cheaply, and spends nothing."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from email.utils import parsedate_to_datetime
from enum import Enum

import click
import requests
from pydantic import SecretStr

from akool_dagster.akool import AccountStopped, AkoolClient, AkoolError, Timeouts, choose_credential
from akool_dagster.cli.exits import Exit
from akool_dagster.cli.workplace import PLAIN_ERRORS
from akool_dagster.ledger import Kind, Ledger, State
from akool_dagster.manifest import ManifestError, manifest_name
from akool_dagster.manifest.avatars_file import AVATARS_FILE, read_avatars
from akool_dagster.settings import Settings, load_settings
from akool_dagster.storage import Storage, open_storage

_PATIENCE = Timeouts(connect_seconds=5, read_seconds=15, total_seconds=30)
_MOST_SKEW_SECONDS = 60.0


class Verdict(str, Enum):
    """How a check ended."""

    GOOD = "good"
    NOTE = "note"
    """Works, and a person should know it."""
    BAD = "bad"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """The end of one check.

    Attributes:
        what: What was looked at.
        verdict: How it ended.
        text: What was found and what to do.
        exit_code: What the command ends with because of it.
    """

    what: str
    verdict: Verdict
    text: str
    exit_code: Exit = Exit.DONE


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def doctor(as_json: bool) -> None:
    """Check key, balance, catalogs, storage, ledger, clock and webhooks; spends nothing."""
    findings = list(examine(load_settings()))
    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        for finding in findings:
            click.echo(f"{finding.verdict.value:<5} {finding.what}: {finding.text}")
    raise SystemExit(int(max(finding.exit_code for finding in findings)))


def examine(settings: Settings) -> Iterator[Finding]:
    """Looks at everything that a batch rests on.

    Args:
        settings: What the environment decides.

    Yields:
        One finding per check, good ones included.
    """
    yield from _look("storage", lambda: _storage(open_storage(settings.data)))
    yield from _look("ledger", lambda: _ledger(settings))
    yield from _akool(settings)
    yield _clock(settings)
    yield _webhooks(settings)


def _look(what: str, check: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    try:
        yield from check()
    except PLAIN_ERRORS as error:
        yield Finding(what=what, verdict=Verdict.BAD, text=str(error), exit_code=Exit.BAD_INPUT)


def _storage(storage: Storage) -> Iterator[Finding]:
    storage.check_writable()
    yield Finding(what="storage", verdict=Verdict.GOOD, text=f"{storage.root} can be written.")
    files = storage.manifests()
    stems = [path.stem for path in files]
    for path in files:
        try:
            manifest_name(path)
        except ManifestError as error:
            yield Finding(what="manifests", verdict=Verdict.NOTE, text=str(error))
        if stems.count(path.stem) > 1:
            text = f"{path.name} shares its name with another file: rename one of them."
            yield Finding(what="manifests", verdict=Verdict.NOTE, text=text)
    yield Finding(what="manifests", verdict=Verdict.GOOD, text=f"{len(files)} files.")
    yield _avatars_file(storage)


def _avatars_file(storage: Storage) -> Finding:
    path = storage.path(AVATARS_FILE)
    if not path.exists():
        return Finding(what="own avatars", verdict=Verdict.GOOD, text=f"no {AVATARS_FILE}.")
    try:
        count = len(read_avatars(path).avatars)
    except ManifestError as error:
        return Finding(
            what="own avatars", verdict=Verdict.BAD, text=str(error), exit_code=Exit.BAD_INPUT
        )
    return Finding(what="own avatars", verdict=Verdict.GOOD, text=f"{count} in {AVATARS_FILE}.")


def _ledger(settings: Settings) -> Iterator[Finding]:
    with Ledger.open(settings.ledger_url, service=settings.service) as ledger:
        ledger.attempts.doubt_the_abandoned()
        doubts = sum(
            len(ledger.attempts.in_states(kind=kind, states=[State.IN_DOUBT])) for kind in Kind
        )
        stop = ledger.account.open_stop()
        learned = ledger.attempts.learned_limit()
    yield Finding(what="ledger", verdict=Verdict.GOOD, text=f"opens; service {settings.service}.")
    if doubts:
        text = f"{doubts} requests are in doubt: see `akool-dagster status`."
        yield Finding(what="ledger", verdict=Verdict.NOTE, text=text)
    if stop is not None:
        text = f"AKOOL stopped this account: {stop.reason}. {stop.advice or ''}".strip()
        yield Finding(what="account", verdict=Verdict.NOTE, text=text)
    if learned is not None:
        text = (
            f"AKOOL seems to take {learned:.1f} videos at once; "
            f"AKOOL_MAX_IN_FLIGHT is {settings.max_in_flight}."
        )
        yield Finding(what="account", verdict=Verdict.NOTE, text=text)


def _akool(settings: Settings) -> Iterator[Finding]:
    try:
        credential = choose_credential(
            api_key=_plain(settings.api_key),
            client_id=settings.client_id,
            client_secret=_plain(settings.client_secret),
        )
    except ValueError as error:
        yield _bad_credential(str(error))
        return
    if credential is None:
        yield _bad_credential("none is set: set AKOOL_API_KEY.")
        return
    with AkoolClient(credential, base_url=settings.base_url, timeouts=_PATIENCE) as client:
        try:
            balance = client.balance()
        except AccountStopped as error:
            yield _bad_credential(str(error))
            return
        except AkoolError as error:
            yield Finding(
                what="AKOOL", verdict=Verdict.BAD, text=str(error), exit_code=Exit.BAD_INPUT
            )
            return
        yield Finding(
            what="balance",
            verdict=Verdict.GOOD if balance > 0 else Verdict.BAD,
            text=f"{balance:g} credits.",
            exit_code=Exit.DONE if balance > 0 else Exit.ACCOUNT_STOPPED,
        )
        yield from _catalogs(client, settings)


def _catalogs(client: AkoolClient, settings: Settings) -> Iterator[Finding]:
    reads: dict[str, Callable[[], list]] = {
        "avatars": client.list_avatars,
        f"voices ({settings.voice_api})": lambda: client.list_voices(settings.voice_api),
    }
    for what, read in reads.items():
        try:
            found = len(read())
        except AkoolError as error:
            yield Finding(what=what, verdict=Verdict.BAD, text=str(error), exit_code=Exit.BAD_INPUT)
        else:
            verdict = Verdict.GOOD if found else Verdict.NOTE
            yield Finding(what=what, verdict=verdict, text=f"{found} in AKOOL's list.")


def _clock(settings: Settings) -> Finding:
    """Compares clocks: the seven days of a link are counted on this one."""
    if settings.service == "emulator":
        return Finding(
            what="clock", verdict=Verdict.NOTE, text="the emulator has a clock of its own."
        )
    try:
        answer = requests.head(settings.base_url, timeout=10, allow_redirects=False)
        told = parsedate_to_datetime(answer.headers["Date"]).timestamp()
    except (requests.RequestException, KeyError, ValueError):
        return Finding(what="clock", verdict=Verdict.NOTE, text="AKOOL's host tells no time.")
    skew = time.time() - told
    if abs(skew) <= _MOST_SKEW_SECONDS:
        return Finding(what="clock", verdict=Verdict.GOOD, text="agrees with AKOOL's host.")
    text = f"differs from AKOOL's host by {skew:.0f} seconds: set this machine's clock."
    return Finding(what="clock", verdict=Verdict.BAD, text=text, exit_code=Exit.BAD_INPUT)


def _webhooks(settings: Settings) -> Finding:
    if settings.webhook_url is None:
        text = "none (AKOOL_WEBHOOK_URL is not set); AKOOL is asked instead, doubts need a person."
        return Finding(what="webhooks", verdict=Verdict.NOTE, text=text)
    if not (settings.client_id and settings.client_secret):
        text = "AKOOL_CLIENT_ID and AKOOL_CLIENT_SECRET are needed to read callbacks."
        return Finding(what="webhooks", verdict=Verdict.BAD, text=text, exit_code=Exit.BAD_INPUT)
    address = f"{settings.webhook_url.rstrip('/')}/healthz"
    try:
        answer = requests.get(address, timeout=10)
    except requests.RequestException as error:
        text = f"{address} does not answer ({type(error).__name__}): start `akool-dagster webhook`."
        return Finding(what="webhooks", verdict=Verdict.BAD, text=text, exit_code=Exit.BAD_INPUT)
    if answer.status_code == requests.codes.ok:
        return Finding(what="webhooks", verdict=Verdict.GOOD, text=f"{address} answers.")
    text = f"{address} answers HTTP {answer.status_code}: it does not lead to the webhook server."
    return Finding(what="webhooks", verdict=Verdict.BAD, text=text, exit_code=Exit.BAD_INPUT)


def _bad_credential(text: str) -> Finding:
    return Finding(
        what="credential", verdict=Verdict.BAD, text=text, exit_code=Exit.ACCOUNT_STOPPED
    )


def _plain(secret: object) -> str | None:
    return secret.get_secret_value() if isinstance(secret, SecretStr) else None
