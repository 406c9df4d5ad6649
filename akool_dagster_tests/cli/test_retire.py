import json
import os
import subprocess

import dagster as dg
import pytest
from dagster import DagsterRunStatus

from akool_dagster.automation.row_runs import range_tags
from akool_dagster.definitions import build_definitions
from akool_dagster.manifest import read_script_keys
from akool_dagster.partitions import register_scripts
from akool_dagster.settings import Settings
from akool_dagster_tests.cli.conftest import COMMAND, Shell
from akool_dagster_tests.support import plain_line


def instance_of(shell: Shell) -> dg.DagsterInstance:
    return dg.DagsterInstance.from_config(shell.env["DAGSTER_HOME"])


def made(shell: Shell, name: str, *lines: str) -> None:
    shell.walked(name, *lines)
    keys = read_script_keys(shell.data / "scripts" / f"{name}.parquet")
    with instance_of(shell) as instance:
        instance.add_dynamic_partitions("manifests", [name])
        register_scripts(instance, keys)


def partitions(shell: Shell) -> list[str]:
    with instance_of(shell) as instance:
        sets = (instance.get_dynamic_partitions(of) for of in ("manifests", "scripts"))
        return [key for keys in sets for key in keys]


def manifests(shell: Shell) -> set[str]:
    folder = shell.data / "manifests"
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*.csv")}


@pytest.fixture
def done(shell: Shell) -> Shell:
    made(shell, "m", plain_line("a"), plain_line("b"))
    made(shell, "n", plain_line("c"))
    return shell


def test_it_asks_back_and_says_what_is_kept(done: Shell) -> None:
    no = done("retire", "m", "n.csv", input="n\n")
    assert no.exit_code == 2
    assert "m: 2 scripts\nn: 1 script\n" in no.stderr
    assert "Dagster's own record of runs and materializations" in no.stderr
    assert "Retire these 2 manifests?" in no.stderr
    assert "Nothing was changed." in no.stderr
    assert partitions(done) == ["m", "n", "m.a", "m.b", "n.c"]

    yes = done("retire", str(done.data / "manifests" / "m.csv"), input="y\n")
    assert yes.exit_code == 0, yes.output
    assert "m: 2 scripts; retired." in yes.stdout
    assert f"move its file from {done.data / 'manifests' / 'retired'}" in yes.stdout
    assert partitions(done) == ["n", "n.c"]
    assert manifests(done) == {"n.csv", "retired/m.csv"}
    assert done.standings("m") == {"a": "saved", "b": "saved"}

    again = done("retire", "m", "--yes")
    assert (again.exit_code, "in Dagster no more; retired." in again.stdout) == (0, True)


def test_every_reason_is_named_and_nothing_is_changed(done: Shell) -> None:
    made(done, "lost", plain_line("x", "[[video:lost]]"), plain_line("y", "[[video:1003]]"))
    before, sent = partitions(done), done.sent
    refused = done("retire", "m", "lost", "--yes")
    assert refused.exit_code == 2
    assert refused.stdout == ""
    assert "lost: 1 script (lost.x) in doubt" in refused.stderr
    assert "akool-dagster resolve" in refused.stderr
    assert "lost: 2 scripts have no video (1 in doubt, 1 refused)." in refused.stderr
    assert "m:" not in refused.stderr
    assert "Nothing was changed." in refused.stderr

    told = json.loads(done("retire", "m", "lost", "--yes", "--json").stdout)
    assert told["retired"] == []
    assert told["manifests"]["m"]["in_the_way"] == []
    assert len(told["manifests"]["lost"]["in_the_way"]) == 2
    assert partitions(done) == before
    assert manifests(done) == {"m.csv", "n.csv", "lost.csv"}

    assert done("resolve", "lost.x", "--not-created").exit_code == 0
    gone = done("retire", "lost", "--yes", "--unfinished-too", "--json")
    assert gone.exit_code == 0, gone.output
    assert json.loads(gone.stdout) == {
        "retired": ["lost"],
        "manifests": {
            "lost": {
                "scripts": 2, "partitions": 2, "unfinished": {"refused": 2}, "in_the_way": [],
            }
        },
    }  # fmt: skip
    assert done.sent == sent


def test_an_unknown_name_is_said(done: Shell) -> None:
    result = done("retire", "m", "o", "--yes")
    assert result.exit_code == 2
    assert "There is no manifest 'o'" in result.stderr
    assert "(there: m, n)" in result.stderr
    assert partitions(done) == ["m", "n", "m.a", "m.b", "n.c"]


def test_a_run_that_begins_while_the_person_thinks_is_not_touched(done: Shell) -> None:
    settings = Settings(data=str(done.data), base_url=done.akool.url)
    before = partitions(done)
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("AKOOL_", "DAGSTER_"))}
    command = subprocess.Popen(
        [COMMAND, "retire", "m"],
        env={**clean, **done.env},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with command as process, instance_of(done) as instance:
        assert process.stderr is not None
        assert process.stdin is not None
        while "Their partitions leave" not in process.stderr.readline():
            assert process.poll() is None
        run = instance.create_run_for_job(
            build_definitions(settings).resolve_job_def("request_videos"),
            tags=range_tags(first="m.a", last="m.b"),
            status=DagsterRunStatus.STARTING,
        )
        process.stdin.write("y\n")
        process.stdin.flush()
        _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert f"m: Run {run.run_id} is at work on it" in err
    assert partitions(done) == before
    assert manifests(done) == {"m.csv", "n.csv"}
