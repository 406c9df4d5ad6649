import json
import time

import pytest

from akool_dagster.batch.stages import Stage
from akool_dagster.ledger import Attempt, Kind, Limits, process_name
from akool_dagster_tests.cli.conftest import Shell
from akool_dagster_tests.support import plain_line

_LONG = "long-name-" * 6


def test_nothing_asked_for_yet_is_said_and_leaves_nothing_behind(shell: Shell) -> None:
    result = shell("status")
    assert result.exit_code == 0
    assert f"Put a manifest into {shell.data / 'manifests'}" in result.stdout
    assert not shell.data.exists()
    told = json.loads(shell("status", "--json").stdout)
    assert (told["account_stop"], told["manifests"], told["warnings"]) == (None, {}, [])


def test_all_manifests_are_counted_and_one_is_shown_row_by_row(shell: Shell) -> None:
    shell.walked("good", plain_line("a"), plain_line("b"))
    shell.walked("mixed", plain_line("c"), plain_line("d", "[[video:failed 1205 no luck]]"))
    whole = shell("status")
    assert whole.exit_code == 1
    assert "│ good     │       2 │ 2 saved " in whole.stdout
    assert "│ mixed    │       2 │ 1 saved, 1 failed " in whole.stdout
    assert "videos/" not in whole.stdout

    for word in ("mixed", "mixed.csv", str(shell.data / "manifests" / "mixed.csv")):
        one = shell("status", word)
        assert one.exit_code == 1
        assert "videos/mixed/c.mp4" in one.stdout
        assert "AKOOL code 1205: The video failed: no luck." in one.stdout
        assert "good" not in one.stdout
    assert shell("status", "good").exit_code == 0


def test_json_tells_each_row(shell: Shell) -> None:
    shell.walked("m", plain_line("a"), plain_line("b", "[[video:failed 1205 no luck]]"))
    result = shell("status", "m", "--json")
    assert result.exit_code == 1
    data = json.loads(result.stdout)
    assert data["account_stop"] is None
    a, b = data["manifests"]["m"]["scripts"]
    assert (a["status"], a["video_file"], a["akool_code"]) == ("saved", "videos/m/a.mp4", None)
    assert (b["status"], b["video_file"], b["akool_code"]) == ("failed", None, 1205)
    assert "no luck" in b["cause"]
    assert "paid request" in b["next_step"]


def test_doubt_and_account_stop_have_their_own_exit_codes(shell: Shell) -> None:
    shell.walked("m", plain_line("a", "[[video:lost]]"))
    doubt = shell("status")
    assert doubt.exit_code == 4
    assert "1 in doubt" in doubt.stdout
    shell.akool.emulator.set_credits(0.0)
    shell.walked("poor", plain_line("b"))
    stopped = shell("status")
    assert stopped.exit_code == 3
    assert "AKOOL has stopped this account since " in stopped.stdout
    assert json.loads(shell("status", "--json").stdout)["account_stop"]["code"] == 1006


def test_a_request_whose_process_died_is_in_doubt(shell: Shell) -> None:
    shell.walked("m", plain_line("a", "[[voice:1003]]"))
    (row,) = shell.rows("m")
    host, _, _ = process_name().rsplit(":", 2)
    nobody = 999_999_999  # beyond the highest process id of any system
    with shell.ledger(actor=f"{host}:{nobody}:cafe") as ledger:
        attempt = ledger.attempts.open_next(
            kind=Kind.VOICE,
            content_hash=row.row.voice_hash,
            api="v4",
            after=1,
            media_seconds=None,
        )
        ledger.attempts.reserve(attempt.id, price=1.0, limits=Limits(max_in_flight=1))
        assert ledger.attempts.start_sending(attempt.id)
    result = shell("status", "m")
    assert result.exit_code == 4
    assert "in doubt" in result.stdout


def test_long_paths_and_causes_are_folded_not_cut(shell: Shell) -> None:
    name, script_id = f"{_LONG}m", f"{_LONG}s"
    shell.walked(name, plain_line(script_id), plain_line("b", "[[video:failed 1205 no luck]]"))
    wide = shell("status", name)
    assert f"videos/{name}/{script_id}.mp4" in _folded(wide.stdout, column=4)
    narrow = shell("status", name, COLUMNS="80")
    lines = [line for line in narrow.stdout.splitlines() if not line.startswith("Files are")]
    assert max(map(len, lines)) <= 80
    assert "…" not in narrow.stdout
    assert f"videos/{name}/{script_id}.mp4" in _folded(narrow.stdout, column=4)
    assert f"{name}.{script_id}" in _folded(narrow.stdout, column=1)
    assert "thatisanew,paidrequest." in _folded(narrow.stdout, column=4)
    assert f"Files are under {shell.data}" in narrow.stdout


def test_an_unknown_manifest(shell: Shell) -> None:
    shell.walked("m", plain_line("a"))
    result = shell("status", "n")
    assert result.exit_code == 2
    assert "'n' is no manifest that was asked for; there are: m." in result.stderr
    assert "akool-dagster plan n" in result.stderr


def test_a_manifest_whose_file_is_gone_is_still_shown(shell: Shell) -> None:
    shell.walked("m", plain_line("a"))
    (shell.data / "manifests" / "m.csv").unlink()
    assert "1 saved" in shell("status").stdout


def test_credits_are_told_per_manifest_and_per_day_estimated_against_actual(shell: Shell) -> None:
    shell.walked("dear", plain_line("a"), plain_line("b"))
    shell.walked("lost", plain_line("c", "[[video:lost x1]] and some more words"))
    told = json.loads(shell("status", "--json").stdout)["credits"]
    (today,) = told["by_day"].values()
    dear, lost = told["by_manifest"]["dear"], told["by_manifest"]["lost"]
    assert (dear["creates"], lost["creates"], today["creates"]) == (4, 2, 6)
    charged = sum(job.price for job in shell.akool.emulator.jobs())
    assert today["spent"] + lost["in_doubt"] >= charged > dear["spent"] > 0
    assert dear["estimated"] >= dear["spent"]
    assert (dear["open"], lost["open"]) == (0.0, lost["in_doubt"])
    assert lost["in_doubt"] > 0

    whole = shell("status").stdout
    (day,) = told["by_day"]
    for name, spend in (("dear", dear), ("lost", lost), (day, today)):
        (line,) = (line for line in whole.splitlines() if name in line and "saved" not in line
                   and "in doubt" not in line)  # fmt: skip
        cells = [cell.strip() for cell in line.split("│")[2:-1]]
        assert cells == [
            f"{spend['creates']}", *(f"{spend[name]:,.10g}" for name in _AMOUNTS)
        ]  # fmt: skip
    one = shell("status", "dear").stdout
    assert "estimated" in one
    assert day not in one


_AMOUNTS = ("estimated", "spent", "open", "in_doubt")


@pytest.mark.parametrize(
    ("hours", "warned"), [(47.0, "deletes it within 48 hours"), (49.0, None), (-1.0, "deletes")]
)
def test_finished_videos_that_akool_will_delete_are_warned_of(
    shell: Shell, hours: float, warned: str | None
) -> None:
    _finish_without_saving(shell, expires_in=hours * 3600)
    result = shell("status", "m")
    assert ("m.a (link dies 2" in result.stdout) is (warned is not None)
    assert warned is None or warned in result.stdout
    assert bool(json.loads(shell("status", "--json").stdout)["warnings"]) is (warned is not None)


def test_a_video_that_was_lost_is_named(shell: Shell) -> None:
    attempt = _finish_without_saving(shell, expires_in=-3600.0)
    with shell.ledger() as ledger:
        ledger.attempts.expire(attempt.id, reason="its link died", advice=None)
    result = shell("status")
    assert result.exit_code == 1
    assert "LOST: made and paid for, and its link died before it was saved: m.a (" in result.stdout


def test_a_callback_that_contradicts_the_ledger_and_the_learned_limit_are_told(
    shell: Shell,
) -> None:
    attempt = _finish_without_saving(shell, expires_in=500 * 3600.0)
    with shell.ledger() as ledger:
        ledger.callbacks.record(
            token=attempt.webhook_token, remote_id="another", status=3, body_sha256="0" * 64
        )
        other = ledger.attempts.open_next(
            kind=Kind.VIDEO, content_hash="c", api="v", after=0, media_seconds=None
        )
        ledger.attempts.reserve(other.id, price=1.0, limits=Limits(max_in_flight=9))
        ledger.attempts.start_sending(other.id)
        ledger.attempts.refuse_for_now(other.id, code=1005, reason="too frequent")
    told = shell("status").stdout
    assert f"AKOOL id another (AKOOL's id of this attempt is {attempt.remote_id})" in told
    assert "AKOOL seems to take 1.0 videos at once; AKOOL_MAX_IN_FLIGHT is 10." in told


def _finish_without_saving(shell: Shell, *, expires_in: float) -> Attempt:
    """Leaves the video of a row finished at AKOOL and not on our storage."""
    shell.walked("m", plain_line("a"), stages=(Stage.VOICE, Stage.VIDEO))
    (row,) = shell.rows("m")
    assert row.video is not None
    with shell.ledger() as ledger:
        return ledger.attempts.complete(
            row.video.id,
            url="http://media.test/a.mp4",
            url_expires_at=time.time() + expires_in,
            spent_credits=1.0,
            media_seconds=None,
            answer={},
        )


def _folded(text: str, *, column: int) -> str:
    """A column of a table in one piece, without spaces."""
    cells = [line.split("│")[column] for line in text.splitlines() if line.count("│") == 5]
    return "".join("".join(cells).split())
