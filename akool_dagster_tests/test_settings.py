import os
from pathlib import Path

import pytest

from akool_dagster.settings import Settings, SettingsError, load_settings


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("AKOOL_"):
            monkeypatch.delenv(name)


def test_defaults_are_those_of_the_documentation() -> None:
    settings = load_settings()
    assert settings.base_url == "https://openapi.akool.com"
    assert (settings.video_api, settings.voice_api) == ("talkingavatar", "v4")
    assert (settings.max_in_flight, settings.max_scripts_per_run) == (10, 100)
    assert (settings.batch_cron, settings.timezone) == ("0 2 * * *", "UTC")
    assert not settings.has_credential


def test_every_bad_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AKOOL_MAX_IN_FLIGHT", "many")
    monkeypatch.setenv("AKOOL_VIDEO_API", "v9")
    with pytest.raises(SettingsError, match=r"AKOOL_VIDEO_API.*AKOOL_MAX_IN_FLIGHT"):
        load_settings()


def test_an_error_does_not_repeat_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AKOOL_API_KEY", "top-secret")
    monkeypatch.setenv("AKOOL_MAX_CREDITS", "-1")
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert "top-secret" not in str(caught.value)
    monkeypatch.setenv("AKOOL_MAX_CREDITS", "1")
    assert "top-secret" not in repr(load_settings())


@pytest.mark.parametrize(
    ("base_url", "service"),
    [
        ("https://openapi.akool.com/", "openapi.akool.com"),
        ("http://127.0.0.1:8790", "emulator"),
        ("http://localhost:9", "emulator"),
    ],
)
def test_the_emulator_is_another_service(base_url: str, service: str) -> None:
    assert Settings(base_url=base_url).service == service


def test_the_ledger_of_a_remote_data_root_must_be_named() -> None:
    with pytest.raises(SettingsError, match="AKOOL_LEDGER"):
        _ = Settings(data="s3://bucket/akool").ledger_url
    assert Settings(data="data").ledger_url.endswith("/data/ledger.sqlite")
    home = Path.home()
    assert Settings(data="~/akool").ledger_url == f"sqlite:///{home}/akool/ledger.sqlite"


@pytest.mark.parametrize("empty", ["AKOOL_API_KEY", "AKOOL_MAX_CREDITS", "AKOOL_LEDGER"])
def test_an_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch, empty: str) -> None:
    monkeypatch.setenv(empty, "")
    assert load_settings() == Settings()
