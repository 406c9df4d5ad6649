"""Own avatars at a terminal: the list, and the upload through Dagster."""

import json
import time

import dagster as dg
import pytest

from akool_dagster.batch.stages.avatar import upload_avatars
from akool_dagster.emulator import Fault
from akool_dagster.ledger import Kind, State
from akool_dagster.manifest.avatars_file import read_avatars
from akool_dagster_tests.cli.conftest import Shell
from akool_dagster_tests.support import csv_line, opened_tools

CLIP = "https://media.example/kim.mp4"


@pytest.fixture(autouse=True)
def _slow_avatars(shell: Shell) -> None:
    """AKOOL works on an avatar until a test turns its clock forward."""
    shell.akool.emulator.configure(times={"avatar": 50_000.0})


def put_avatars(shell: Shell, *lines: str) -> None:
    shell.data.mkdir(parents=True, exist_ok=True)
    (shell.data / "avatars.csv").write_text("\n".join(["avatar_id,name,url", *lines]) + "\n")


def uploads(shell: Shell) -> int:
    return shell.akool.emulator.stats().received.get("avatar", 0)


def states(shell: Shell, *words: str) -> dict[str, str]:
    data = json.loads(shell("avatars", "--json", *words).stdout)
    return {avatar["avatar_id"]: avatar["status"] for avatar in data["avatars"]}


def materialized(shell: Shell) -> set[str]:
    with dg.DagsterInstance.from_config(str(shell.folder / "dagster_home")) as instance:
        return set(instance.get_materialized_partitions(dg.AssetKey("custom_avatars")))


def test_the_list_sends_nothing_and_the_upload_sends_each_once(shell: Shell) -> None:
    put_avatars(shell, f"Kim01,Kim,{CLIP}", f"Lee02,,{CLIP}")
    listed = shell("avatars")
    assert listed.exit_code == 1
    assert "Not uploaded yet: 2. To upload them, which may cost about 20 credits" in listed.stdout
    assert uploads(shell) == 0

    first = shell("avatars", "--upload")
    assert first.exit_code == 0, first.output
    assert "Scripts may be run at once: each waits for its avatar." in first.stdout
    assert states(shell) == {"Kim01": "in the making", "Lee02": "in the making"}
    assert shell("avatars").exit_code == 1
    assert uploads(shell) == 2
    assert materialized(shell) == {"Kim01", "Lee02"}

    again = shell("avatars", "--upload")
    assert again.exit_code == 0
    assert "Nothing is left to upload. Nothing was sent and nothing was spent." in again.stdout
    assert uploads(shell) == 2

    shell.akool.emulator.clock.advance(100_000)
    ready = shell("avatars")
    assert ready.exit_code == 0
    assert states(shell) == {"Kim01": "ready", "Lee02": "ready"}
    assert uploads(shell) == 2


def test_one_named_avatar_alone_is_uploaded(shell: Shell) -> None:
    put_avatars(shell, f"Kim01,Kim,{CLIP}", f"Lee02,,{CLIP}", f"Moe03,,{CLIP}")
    done = json.loads(shell("avatars", "--upload", "Lee02", "--json").stdout)
    assert done["tried"] == ["Lee02"]
    assert [avatar["avatar_id"] for avatar in done["avatars"]] == ["Lee02"]
    (job,) = shell.akool.emulator.jobs("avatar")
    assert job.details["avatar_id"] == "Lee02"
    rest = json.loads(shell("avatars", "--upload", "--json").stdout)
    assert rest["tried"] == ["Kim01", "Moe03"]  # no contiguous range: two runs
    assert uploads(shell) == 3


def test_a_word_that_is_no_avatar_uploads_nothing(shell: Shell) -> None:
    put_avatars(shell, f"Kim01,Kim,{CLIP}")
    result = shell("avatars", "--upload", "Kim01", "Kim02")
    assert result.exit_code == 2
    assert "Kim02: no avatar_id of avatars.csv. Did you mean Kim01?" in result.stderr
    assert uploads(shell) == 0


def test_a_refused_avatar_is_told_with_its_code_and_sent_again_only_by_name(shell: Shell) -> None:
    put_avatars(shell, f"Kim01,Kim,{CLIP}", f"Bad02,[[avatar:1003 x1]],{CLIP}")
    first = shell("avatars", "--upload")
    assert first.exit_code == 1
    assert "AKOOL code 1003" in first.stdout
    assert "akool-dagster avatars --upload Bad02" in first.stdout
    assert states(shell)["Bad02"] == "refused"
    assert shell("avatars", "--upload").exit_code == 1
    assert uploads(shell) == 2
    assert shell("avatars", "--upload", "Bad02").exit_code == 0
    assert uploads(shell) == 3


def test_an_avatar_that_akool_could_not_make_is_told_before_any_run_has_looked(
    shell: Shell,
) -> None:
    put_avatars(shell, f"Bad01,[[avatar:failed 1220 no face was found]],{CLIP}")
    assert shell("avatars", "--upload").exit_code == 0
    shell.akool.emulator.clock.advance(100_000)
    result = shell("avatars")
    assert result.exit_code == 1
    words = " ".join(result.stdout.replace("│", " ").split())
    assert "no face was found" in words
    assert "another avatar_id" in words


def test_a_lost_answer_is_doubt_and_the_next_upload_finds_it_in_akools_list(shell: Shell) -> None:
    put_avatars(shell, f"Kim01,Kim,{CLIP}")
    shell.akool.emulator.faults.add(Fault(kind="drop", on="POST */avatar/create", next=1))
    first = shell("avatars", "--upload")
    assert first.exit_code == 4
    assert "in doubt" in first.stdout
    assert shell("avatars").exit_code == 4
    words = " ".join(shell("avatars").stdout.replace("│", " ").split())
    assert "AKOOL lists it: akool-dagster avatars --upload Kim01 settles it" in words
    assert shell("avatars", "--upload").exit_code == 0
    assert uploads(shell) == 1


def test_a_doubt_that_akool_does_not_list_stays_one_and_is_not_sent_again(shell: Shell) -> None:
    put_avatars(shell, f"Kim01,Kim,{CLIP}")
    shell.akool.emulator.faults.add(
        Fault(kind="drop", on="POST */avatar/create", next=1, when="before")
    )
    assert shell("avatars", "--upload").exit_code == 4
    again = shell("avatars", "--upload")
    assert again.exit_code == 4
    assert "akool-dagster resolve Kim01 --avatar" in " ".join(
        again.stdout.replace("│", " ").split()
    )
    assert uploads(shell) == 1


def test_an_avatar_from_another_link_is_not_sent_and_says_why(shell: Shell) -> None:
    put_avatars(shell, f"Kim01,Kim,{CLIP}")
    assert shell("avatars", "--upload").exit_code == 0
    put_avatars(shell, "Kim01,Kim,https://media.example/other.mp4")
    assert states(shell) == {"Kim01": "changed"}
    result = shell("avatars", "--upload", "Kim01")
    assert result.exit_code == 1
    assert "cannot replace it" in " ".join(result.stdout.replace("│", " ").split())
    assert uploads(shell) == 1


def test_an_avatar_that_akool_has_from_elsewhere_is_taken_over(shell: Shell) -> None:
    put_avatars(shell, f"Kim01,Kim,{CLIP}")
    with opened_tools(shell.akool, shell.folder) as tools:  # another data root, another ledger
        own = read_avatars(shell.data / "avatars.csv").avatars
        assert next(upload_avatars(tools, own, run_id="elsewhere")).ok
    listed = " ".join(shell("avatars").stdout.replace("│", " ").split())
    assert "AKOOL has an avatar of this id that was not uploaded here" in listed
    assert shell("avatars", "--upload").exit_code == 0
    (job,) = shell.akool.emulator.jobs("avatar")
    with shell.ledger() as ledger:
        (attempt,) = ledger.attempts.in_states(kind=Kind.AVATAR, states=State)
    assert attempt.remote_id == job.id


def test_a_run_names_the_avatars_that_its_scripts_lack(shell: Shell) -> None:
    put_avatars(shell, f"Kim01,Kim,{CLIP}", f"Lee02,,{CLIP}")
    shell.put("m", csv_line("a", script="Hello.", voice_id="Emma_en-US", avatar_id="Lee02"))
    result = shell("run", "m")
    assert result.exit_code == 1
    assert "never uploaded: Lee02. To upload them: akool-dagster avatars --upload" in result.stdout
    assert shell.sent == 0


@pytest.mark.parametrize(
    ("setting", "words"), [("wait", "each waits for its avatar"), ("fail", "has them fail before")]
)
def test_it_is_said_whether_scripts_may_be_run_at_once(
    shell: Shell, setting: str, words: str
) -> None:
    put_avatars(shell, f"Kim01,Kim,{CLIP}")
    result = shell("avatars", "--upload", AKOOL_AVATAR_NOT_READY=setting)
    assert result.exit_code == 0
    assert words in result.stdout


def test_a_broken_file_is_reported_whole(shell: Shell) -> None:
    put_avatars(shell, f"Kim_01,Kim,{CLIP}", "Lee02,Lee,nowhere")
    result = shell("avatars", "--upload")
    assert result.exit_code == 2
    assert "write Kim01" in result.stderr
    assert result.stderr.rstrip().endswith("Nothing was sent and nothing was spent.")
    data = json.loads(shell("avatars", "--json").stdout)
    assert (data["valid"], [problem["line"] for problem in data["problems"]]) == (False, [2, 3])
    assert uploads(shell) == 0


def test_without_a_file_without_a_key_and_without_akool(shell: Shell) -> None:
    none = shell("avatars")
    assert none.exit_code == 0
    assert f"There is no {shell.data / 'avatars.csv'}." in none.stdout
    assert shell("avatars", "--upload").exit_code == 2
    assert json.loads(shell("avatars", "--json").stdout)["avatars"] == []

    put_avatars(shell, f"Kim01,Kim,{CLIP}")
    no_key = shell("avatars", "--upload", AKOOL_API_KEY=None)
    assert no_key.exit_code == 3
    assert "Set AKOOL_API_KEY" in no_key.stderr
    listed = shell("avatars", AKOOL_API_KEY=None)
    assert listed.exit_code == 1
    assert "AKOOL was not asked" in listed.stdout
    assert uploads(shell) == 0


def test_a_stopped_account_is_told_and_nothing_is_sent(shell: Shell) -> None:
    put_avatars(shell, f"Kim01,Kim,{CLIP}")
    shell.akool.emulator.set_credits(0.0)
    with shell.ledger() as ledger:
        ledger.account.stop(code=1006, reason="Your quota is not enough", advice="Top up")
    result = shell("avatars", "--upload")
    assert result.exit_code == 3, result.output
    assert "Not requested" in " ".join(result.stdout.replace("│", " ").split())
    assert "AKOOL has stopped this account since" in result.stdout
    assert uploads(shell) == 0


@pytest.mark.parametrize("is_ready", [True, False])
def test_the_list_leaves_the_news_to_the_sensor(shell: Shell, is_ready: bool) -> None:
    """Dagster must still be told: the list writes nothing into the ledger."""
    marker = "Kim" if is_ready else "[[avatar:failed]]"
    put_avatars(shell, f"Kim01,{marker},{CLIP}")
    assert shell("avatars", "--upload").exit_code == 0
    shell.akool.emulator.clock.advance(100_000)
    time.sleep(0.2)
    assert states(shell) == {"Kim01": "ready" if is_ready else "failed"}
    with shell.ledger() as ledger:
        (attempt,) = ledger.attempts.in_states(kind=Kind.AVATAR, states=State)
        (line,) = ledger.deliveries.of_key(kind=Kind.AVATAR, script_key="Kim01")
    assert attempt.state is State.ACCEPTED
    assert (line.saved_at, line.failure_shown_for) == (None, None)
