import os
from pathlib import Path

import pytest

from akool_dagster.cli.dagster_home import use_dagster_home
from akool_dagster.settings import Settings
from akool_dagster_tests.cli.conftest import Shell
from akool_dagster_tests.support import plain_line


@pytest.fixture(autouse=True)
def _home_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_HOME", "")
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("data", "base_url", "home"),
    [
        ("data", "http://127.0.0.1:8790", "data/dagster_home/emulator"),
        ("data", "https://openapi.akool.com", "data/dagster_home/openapi.akool.com"),
        ("sub/films", "http://localhost:1", "sub/films/dagster_home/emulator"),
        ("file://{here}/films", "http://[::1]:1", "films/dagster_home/emulator"),
        ("s3://bucket/films", "http://127.0.0.1:1", "data/dagster_home/emulator"),
    ],
)
def test_each_service_has_its_own_folder_under_the_data_root(
    data: str, base_url: str, home: str, tmp_path: Path
) -> None:
    settings = Settings(data=data.format(here=tmp_path), base_url=base_url)
    assert use_dagster_home(settings) == tmp_path / home
    assert os.environ["DAGSTER_HOME"] == str(tmp_path / home)
    assert "telemetry:\n  enabled: false" in (tmp_path / home / "dagster.yaml").read_text()


def test_a_persons_own_dagster_yaml_is_left_alone(tmp_path: Path) -> None:
    home = use_dagster_home(Settings(data="data"))
    (home / "dagster.yaml").write_text("# mine\n")
    os.environ["DAGSTER_HOME"] = ""
    assert use_dagster_home(Settings(data="data")) == home
    assert (home / "dagster.yaml").read_text() == "# mine\n"


def test_the_folder_that_the_environment_names_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine").mkdir()
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "mine"))
    assert use_dagster_home(Settings()) == tmp_path / "mine"
    assert list((tmp_path / "mine").iterdir()) == []
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("named", ["relative", "/nowhere/at/all"])
def test_a_folder_that_dagster_cannot_use_is_bad_input(shell: Shell, named: str) -> None:
    shell.put("m", plain_line("a"))
    result = shell("run", "m", DAGSTER_HOME=named)
    assert result.exit_code == 2
    assert f"DAGSTER_HOME={named} is not the absolute path of a folder" in result.stderr
    assert shell.sent == 0
