import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from akool_dagster.cli import main
from akool_dagster.emulator import RunningEmulator
from akool_dagster.ledger import Ledger
from akool_dagster.settings import load_settings
from akool_dagster_tests.support import plain_line, write_manifest

Doctor = Callable[..., Result]


@pytest.fixture
def doctor(emulator: RunningEmulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Doctor:
    monkeypatch.setenv("AKOOL_BASE_URL", emulator.url)
    monkeypatch.setenv("AKOOL_API_KEY", emulator.api_key)
    monkeypatch.setenv("AKOOL_DATA", str(tmp_path / "data"))

    def run(*options: str, **environment: str) -> Result:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        return CliRunner().invoke(main, ["doctor", *options])

    return run


def test_a_healthy_deployment_is_good_and_nothing_is_spent(
    doctor: Doctor, emulator: RunningEmulator
) -> None:
    result = doctor()
    assert result.exit_code == 0
    assert "good  balance: 100000 credits." in result.output
    assert "note  clock" in result.output
    assert "bad" not in result.output
    assert dict(emulator.emulator.stats().received) == {}


def test_a_wrong_key_is_told_from_an_empty_account(
    doctor: Doctor, emulator: RunningEmulator
) -> None:
    wrong = doctor(AKOOL_API_KEY="wrong-key")
    assert wrong.exit_code == 3
    assert "bad   credential" in wrong.output
    assert "wrong-key" not in wrong.output

    emulator.emulator.set_credits(0.0)
    empty = doctor(AKOOL_API_KEY=emulator.api_key)
    assert empty.exit_code == 3
    assert "bad   balance: 0 credits." in empty.output


def test_an_account_stop_and_bad_file_names_are_told(doctor: Doctor, tmp_path: Path) -> None:
    write_manifest(tmp_path / "data" / "manifests", "bad name", plain_line("a"))
    settings = load_settings()
    with Ledger.open(settings.ledger_url, service=settings.service) as ledger:
        ledger.account.stop(code=1006, reason="quota not enough", advice="Top up.")
    result = doctor()
    assert "AKOOL stopped this account: quota not enough. Top up." in result.output
    assert "bad name" in result.output


def test_webhooks_are_tried_from_outside(doctor: Doctor, emulator: RunningEmulator) -> None:
    keys = {
        "AKOOL_CLIENT_ID": emulator.client_id,
        "AKOOL_CLIENT_SECRET": emulator.client_secret,
    }
    nothing_there = doctor(AKOOL_WEBHOOK_URL="http://127.0.0.1:9", **keys)
    assert nothing_there.exit_code == 2
    assert "start `akool-dagster webhook`" in nothing_there.output
    something_else = doctor(AKOOL_WEBHOOK_URL=emulator.url, **keys)
    assert "does not lead to the webhook server" in something_else.output


def test_a_data_root_that_cannot_be_written_is_bad_input(doctor: Doctor, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    result = doctor("--json", AKOOL_DATA=str(blocked))
    assert result.exit_code == 2
    findings = {finding["what"]: finding for finding in json.loads(result.output)}
    assert findings["storage"]["verdict"] == "bad"
