"""Own avatars at a terminal: what doctor and resolve say of them."""

import json

from akool_dagster.batch.stages.avatar import upload_avatars
from akool_dagster.emulator import Fault
from akool_dagster.ledger import Kind, State
from akool_dagster.manifest.avatars_file import read_avatars
from akool_dagster_tests.cli.conftest import Shell
from akool_dagster_tests.support import opened_tools

CLIP = "https://media.example/kim.mp4"


def put_avatars(shell: Shell, *lines: str) -> None:
    shell.data.mkdir(parents=True, exist_ok=True)
    (shell.data / "avatars.csv").write_text("\n".join(["avatar_id,url", *lines]) + "\n")


def finding(shell: Shell) -> dict[str, object]:
    found = json.loads(shell("doctor", "--json").stdout)
    (own,) = (each for each in found if each["what"] == "own avatars")
    return own


def test_doctor_reads_the_file_of_avatars(shell: Shell) -> None:
    shell.data.mkdir(parents=True)
    assert finding(shell)["verdict"] == "good"
    put_avatars(shell, f"Kim01,{CLIP}", f"Lee02,{CLIP}")
    assert finding(shell)["text"] == "2 in avatars.csv."
    put_avatars(shell, f"Kim_01,{CLIP}")
    broken = finding(shell)
    assert (broken["verdict"], broken["exit_code"]) == ("bad", 2)
    assert "write Kim01" in str(broken["text"])


def test_a_person_settles_a_doubtful_upload(shell: Shell) -> None:
    put_avatars(shell, f"Kim01,{CLIP}")
    shell.akool.emulator.faults.add(
        Fault(kind="drop", on="POST */avatar/create", next=1, when="before")
    )
    with opened_tools(shell.akool, shell.data) as tools:
        avatars = read_avatars(shell.data / "avatars.csv").avatars
        assert not next(upload_avatars(tools, avatars, run_id="run")).ok

    assert shell("resolve", "Nobody", "--avatar", "--not-created").exit_code == 2
    assert shell("resolve", "Kim01", "--avatar", "--video-id", "abc").exit_code == 2
    settled = shell("resolve", "Kim01", "--avatar", "--not-created")
    assert settled.exit_code == 0
    assert "To go on now: akool-dagster avatars --upload" in settled.output
    with shell.ledger() as ledger:
        (attempt,) = ledger.attempts.in_states(kind=Kind.AVATAR, states=State)
        assert attempt.state is State.REFUSED
    with opened_tools(shell.akool, shell.data) as tools:
        assert next(upload_avatars(tools, avatars, run_id="again")).ok
