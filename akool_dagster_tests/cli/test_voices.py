import json

import pytest

from akool_dagster.ledger import Kind, State
from akool_dagster_tests.cli.conftest import Shell
from akool_dagster_tests.support import csv_line


def line(shell: Shell, script_id: str, voice: str = "George_en-GB", marker: str = "") -> str:
    return csv_line(
        script_id, script=f"This is {script_id}.", avatar_id="Jane_in_Blue_2024",
        voice_sample_url=f"{shell.akool.url}/media/voices/{voice}.mp3{marker}",
    )  # fmt: skip


@pytest.fixture
def speaking(shell: Shell) -> Shell:
    """Two samples, one of which three scripts share."""
    shell.walked(
        "m", *(line(shell, name) for name in "abc"), line(shell, "d", voice="Olivia_en-GB")
    )
    assert set(shell.standings("m").values()) == {"saved"}
    return shell


def listed(shell: Shell, *words: str) -> dict:
    result = shell("voices", "--json", *words)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def ids(shell: Shell) -> list[str]:
    """The clones at AKOOL, in the alphabetical order of their samples."""
    jobs = shell.akool.emulator.jobs("clone")
    return [job.id for job in sorted(jobs, key=lambda job: job.body["source_voice_file"])]


def states(shell: Shell) -> list[State]:
    """The states of the clones, in the order of :func:`ids`."""
    with shell.ledger() as ledger:
        made = ledger.attempts.in_states(kind=Kind.CLONE, states=list(State))
    by_id = {attempt.remote_id: attempt.state for attempt in made}
    return [by_id[voice] for voice in ids(shell)]


def voice_of(shell: Shell, voice_id: str) -> dict:
    (voice,) = (voice for voice in listed(shell)["voices"] if voice["id"] == voice_id)
    return voice


def at_akool(shell: Shell) -> set[str]:
    return set(ids(shell)) - shell.akool.emulator.deleted


def remove_row(shell: Shell, script_id: str) -> None:
    """The manifest loses a row; a run validates it anew."""
    rows = [name for name in "abcd" if name != script_id]
    voices = {"d": "Olivia_en-GB"}
    shell.walked("m", *(line(shell, n, voice=voices.get(n, "George_en-GB")) for n in rows))


def test_it_lists_what_was_made_who_uses_it_and_how_many_are_held(speaking: Shell) -> None:
    told = listed(speaking)
    assert told["held_at_akool"] == 2
    george, olivia = sorted(told["voices"], key=lambda voice: voice["samples"])
    assert george["scripts"] == ["m.a", "m.b", "m.c"]
    assert olivia["scripts"] == ["m.d"]
    assert [george["id"], olivia["id"]] == ids(speaking)
    assert george["samples"] == [f"{speaking.akool.url}/media/voices/George_en-GB.mp3"]
    for voice in told["voices"]:
        assert voice["state"] == "ready"
        assert voice["is_at_akool"] is True
        assert voice["scripts_to_speak"] == []
        assert voice["made"] <= voice["last_used"]

    shown = speaking("voices", COLUMNS="200")
    assert shown.exit_code == 0, shown.output
    assert "AKOOL holds 2 cloned voices of this account" in shown.stdout
    assert all(voice in shown.stdout for voice in ids(speaking))


def test_it_lists_without_a_key_and_with_nothing_made(speaking: Shell) -> None:
    result = speaking("voices", AKOOL_API_KEY=None)
    assert result.exit_code == 0, result.output
    assert "AKOOL was not asked" in result.stdout
    assert speaking("voices", "--delete", ids(speaking)[0], AKOOL_API_KEY=None).exit_code == 2
    assert at_akool(speaking) == set(ids(speaking))


def test_nothing_made_is_said(shell: Shell) -> None:
    result = shell("voices")
    assert result.exit_code == 0, result.output
    assert "No cloned voice that was made here" in result.stdout


def test_a_voice_is_deleted_by_its_id_and_that_is_recorded(speaking: Shell) -> None:
    george, olivia = ids(speaking)
    result = speaking("voices", "--delete", george, LOGNAME="carol")
    assert result.exit_code == 0, result.output
    assert f"{george}: deleted" in result.stdout
    assert at_akool(speaking) == {olivia}
    assert states(speaking) == [State.DELETED, State.COMPLETED]
    with speaking.ledger() as ledger:
        (gone,) = ledger.attempts.in_states(kind=Kind.CLONE, states=[State.DELETED])
        event = ledger.attempts.history(gone.id)[-1]
    assert (event.before, event.after, event.actor) == (
        State.COMPLETED, State.DELETED, "person:carol",
    )  # fmt: skip
    assert [voice["id"] for voice in listed(speaking)["voices"]] == [olivia]

    again = speaking("voices", "--delete", george)
    assert again.exit_code == 2
    assert "deleted already" in again.stderr


def test_only_the_unused_are_deleted(speaking: Shell) -> None:
    _, olivia = ids(speaking)
    assert listed(speaking, "--unused")["voices"] == []
    remove_row(speaking, "d")
    assert [voice["id"] for voice in listed(speaking, "--unused")["voices"]] == [olivia]
    assert at_akool(speaking) == set(ids(speaking)), "to list deletes nothing"
    result = speaking("voices", "--delete", "--unused", "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["deleted"] == [olivia]
    assert at_akool(speaking) == {ids(speaking)[0]}


def test_voices_made_elsewhere_are_never_deleted(speaking: Shell) -> None:
    foreign = "000000000000000000000000"
    for words in ([foreign], ["--unused", foreign], [ids(speaking)[0], foreign]):
        result = speaking("voices", "--delete", *words)
        assert result.exit_code == 2
        assert "made here" in result.stderr
    assert speaking("voices", "--delete").exit_code == 2
    assert at_akool(speaking) == set(ids(speaking))


def test_a_voice_that_a_living_run_needs_is_not_deleted_without_force(speaking: Shell) -> None:
    george, _ = ids(speaking)
    speaking.walked("more", line(speaking, "new"), stages=[])
    with speaking.ledger() as ledger:
        ledger.run_signs.give("at-work")
    result = speaking("voices", "--delete", george)
    assert result.exit_code == 2
    assert "more.new" in result.stderr
    assert "--force" in result.stderr
    assert george in at_akool(speaking)
    assert voice_of(speaking, george)["scripts_to_speak"] == ["more.new"]

    assert speaking("voices", "--delete", george, "--force").exit_code == 0
    assert george not in at_akool(speaking)


def test_what_akool_lost_by_itself_is_noticed(speaking: Shell) -> None:
    george, _ = ids(speaking)
    speaking.akool.emulator.delete(george)
    assert voice_of(speaking, george)["is_at_akool"] is False
    assert speaking("voices", "--delete", george).exit_code == 0
    assert states(speaking)[0] is State.DELETED


def test_a_deletion_that_akool_does_not_answer_is_told_and_can_be_repeated(
    speaking: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    george, _ = ids(speaking)
    speaking.akool.emulator.set_credits(0.0)
    result = speaking("voices", "--delete", george, AKOOL_API_KEY="wrong")
    assert result.exit_code == 1
    assert f"{george}: not deleted" in result.stdout
    assert states(speaking)[0] is State.COMPLETED
    assert speaking("voices", "--delete", george).exit_code == 0


def test_a_doubt_is_found_by_its_name_and_settled_for_all_its_scripts(shell: Shell) -> None:
    marker = "?m=[[clone:lost%20x1]]"
    shell.walked("m", *(line(shell, name, marker=marker) for name in "ab"))
    assert shell.standings("m") == {"a": "in doubt", "b": "in doubt"}
    (job,) = shell.akool.emulator.jobs("clone")
    shell.akool.emulator.clock.advance(100)
    (voice,) = listed(shell)["voices"]
    assert (voice["state"], voice["id"], voice["namesakes"]) == ("in doubt", None, [job.id])
    assert job.id in shell("voices", COLUMNS="200").stdout
    assert shell("voices", "--delete", job.id).exit_code == 2, "it is not known to be ours"

    result = shell("resolve", "m.b", "--clone-id", job.id)
    assert result.exit_code == 0, result.output
    assert "m.b: clone attempt 1 is settled as accepted" in result.stdout
    shell.walked("m", *(line(shell, name, marker=marker) for name in "ab"))
    assert shell.standings("m") == {"a": "saved", "b": "saved"}
    assert len(ids(shell)) == 1


def test_a_doubt_is_settled_as_not_created_or_paid_again(shell: Shell) -> None:
    lines = [line(shell, name, marker="?m=[[clone:lost%20x1]]") for name in "ab"]
    shell.walked("m", *lines)
    result = shell("resolve", "m.a", "--clone", "--not-created")
    assert result.exit_code == 0, result.output
    shell.walked("m", *lines)
    assert shell.standings("m") == {"a": "saved", "b": "saved"}
    assert len(ids(shell)) == 2


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["m.a", "--clone", "--voice", "--not-created"], "different kinds"),
        (["m.a", "--clone", "--video-id", "abc"], "different kinds"),
        (["m.a", "--clone-id", "abc", "--pay-again"], "exactly one of"),
        (["m.plain", "--clone", "--pay-again"], "No clone for m.plain was ever asked for"),
        (["m.a", "--clone", "--not-created"], "not in doubt"),
    ],
)
def test_contradictions_about_clones_change_nothing(
    words: list[str], told: str, shell: Shell
) -> None:
    plain = csv_line("plain", script="Hi.", voice_id="Emma_en-US", avatar_id="Jane_in_Blue_2024")
    shell.walked("m", line(shell, "a"), plain)
    result = shell("resolve", *words)
    assert result.exit_code == 2
    assert told in result.stderr
    assert states(shell) == [State.COMPLETED]


def test_all_doubts_of_clones_are_settled_at_once(shell: Shell) -> None:
    shell.walked("m", *(line(shell, name, marker="?m=[[clone:lost%20x1]]") for name in "ab"))
    result = shell("resolve", "--all", "--clone", "--older-than", "0m", "--pay-again", "--yes")
    assert result.exit_code == 0, result.output
    assert "clone attempt 1 is given up" in result.stdout
    assert set(shell.standings("m").values()) == {"not requested"}
