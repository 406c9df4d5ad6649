import pytest

from akool_dagster.ledger import Attempt, Event, State
from akool_dagster_tests.cli.conftest import Shell
from akool_dagster_tests.support import plain_line


@pytest.fixture
def doubtful(shell: Shell) -> Shell:
    """Two videos whose answers were lost, a voice whose answer was, and a finished video."""
    shell.walked(
        "m",
        plain_line("a", "[[video:lost x1]]"),
        plain_line("b", "[[video:lost x1]]"),
        plain_line("voice", "[[voice:lost x1]]"),
        plain_line("done"),
    )
    assert shell.standings("m") == {
        "a": "in doubt", "b": "in doubt", "voice": "in doubt", "done": "saved",
    }  # fmt: skip
    return shell


def attempt_of(shell: Shell, script_id: str, *, voice: bool = False) -> Attempt:
    (row,) = (row for row in shell.rows("m") if row.row.script_id == script_id)
    attempt = row.voice if voice else row.video
    assert attempt is not None
    return attempt


def last_event(shell: Shell, script_id: str, *, voice: bool = False) -> Event:
    with shell.ledger() as ledger:
        return ledger.attempts.history(attempt_of(shell, script_id, voice=voice).id)[-1]


def lost_jobs(shell: Shell, kind: str) -> list[str]:
    """The ids that a person finds on AKOOL's site and the ledger does not know, oldest first."""
    rows = shell.rows("m")
    attempts = [row.voice for row in rows] + [row.video for row in rows]
    known = {attempt.remote_id for attempt in attempts if attempt is not None}
    jobs = [job for job in shell.akool.emulator.jobs() if job.kind == kind]
    return [job.id for job in jobs if job.id not in known]


def test_the_id_settles_it_as_accepted_and_a_run_saves_it(doubtful: Shell) -> None:
    remote_id = lost_jobs(doubtful, "video")[0]
    result = doubtful("resolve", "m.a", "--video-id", remote_id, LOGNAME="carol")
    assert result.exit_code == 0, result.output
    assert "m.a: video attempt 1 is settled as accepted" in result.stdout
    assert "akool-dagster run m" in result.stdout
    event = last_event(doubtful, "a")
    assert (event.before, event.after) == (State.IN_DOUBT, State.ACCEPTED)
    assert event.actor == "person:carol"
    assert remote_id in (event.detail or "")
    assert event.at > (attempt_of(doubtful, "a").sending_at or 0.0)

    sent = doubtful.sent
    doubtful("run", "m")
    assert doubtful.standings("m")["a"] == "saved"
    assert doubtful.sent == sent


def test_a_voice_is_settled_by_its_own_id(doubtful: Shell) -> None:
    (voice,) = lost_jobs(doubtful, "voice")
    result = doubtful("resolve", "m.voice", "--voice-id", voice)
    assert result.exit_code == 0, result.output
    assert "m.voice: voice attempt 1 is settled as accepted" in result.stdout
    assert attempt_of(doubtful, "voice", voice=True).state is State.ACCEPTED


def test_not_created_lets_the_next_run_ask_again(doubtful: Shell) -> None:
    result = doubtful("resolve", "m.a", "m.b", "--not-created", LOGNAME="carol")
    assert result.exit_code == 0, result.output
    assert "m.a: video attempt 1 is settled as not created" in result.stdout
    assert "m.b: video attempt 1 is settled as not created" in result.stdout
    for script_id in ("a", "b"):
        event = last_event(doubtful, script_id)
        assert (event.after, event.actor) == (State.REFUSED, "person:carol")
        assert "A person found" in (event.detail or "")
    sent = doubtful.sent
    doubtful("run", "m")
    assert doubtful.sent == sent + 2
    assert attempt_of(doubtful, "a").number == 2


def test_pay_again_gives_the_attempt_up_and_says_who_accepted_the_risk(doubtful: Shell) -> None:
    result = doubtful("resolve", "m.a", "--pay-again", LOGNAME="carol")
    assert result.exit_code == 0, result.output
    assert "may be charged again" in result.stdout
    given_up = attempt_of(doubtful, "a")
    assert (given_up.state, given_up.pay_again_by) == (State.IN_DOUBT, "person:carol")
    event = last_event(doubtful, "a")
    assert event.actor == "person:carol"
    assert "may be charged again" in (event.detail or "")


def test_a_voice_is_meant_when_it_is_said(doubtful: Shell) -> None:
    result = doubtful("resolve", "m.voice", "--voice", "--not-created")
    assert result.exit_code == 0, result.output
    assert attempt_of(doubtful, "voice", voice=True).state is State.REFUSED


_WRONG_USE: list[tuple[list[str], str]] = [
    (["m.a"], "exactly one of"),
    (["m.a", "--not-created", "--pay-again"], "exactly one of"),
    (["m.a", "m.b", "--video-id", "64dd90f9f0b6684651e90d60"], "belongs to one script"),
    (["m.a", "--voice", "--video-id", "64dd90f9f0b6684651e90d60"], "say --voice-id ID"),
    (["m.a", "--video-id", ""], "is no id of AKOOL's"),
    (["m.a", "--video-id", "https://akool.com/x"], "is no id of AKOOL's"),
    (["m.done", "--not-created"], "is saved, not in doubt"),
    (["m.a", "m.done", "--not-created"], "is saved, not in doubt"),
    (["m.a", "m.ghost", "--not-created"], "has no script 'ghost'"),
    (["other.a", "--not-created"], "no validated manifest 'other'"),
    (["m", "--not-created"], "has no script ''"),
    (["../m.a", "--not-created"], "manifest"),
    (["m.voice", "--not-created"], "No video of m.voice was ever asked for"),
    (["--not-created"], "Name the KEYs"),
]


def test_wrong_use_is_explained_and_changes_nothing(doubtful: Shell) -> None:
    before = doubtful.standings("m")
    for words, told in _WRONG_USE:
        result = doubtful("resolve", *words)
        assert result.exit_code == 2, (words, result.output)
        assert told in result.stderr, words
        assert "Traceback" not in result.output
        assert doubtful.standings("m") == before, words


def test_the_id_of_another_script_is_refused(doubtful: Shell) -> None:
    taken = attempt_of(doubtful, "done").remote_id or ""
    result = doubtful("resolve", "m.a", "--video-id", taken)
    assert result.exit_code == 2
    assert f"AKOOL's id {taken} is that of m.done" in result.stderr
    assert attempt_of(doubtful, "a").state is State.IN_DOUBT


def test_what_was_never_sent_cannot_be_paid_again(doubtful: Shell) -> None:
    voice = attempt_of(doubtful, "voice", voice=True)
    with doubtful.ledger() as ledger:
        ledger.attempts.refuse(voice.id, code=None, reason="x", advice=None, try_again=True)
        ledger.attempts.open_next(
            kind=voice.kind, content_hash=voice.content_hash, api="v4", after=1, media_seconds=None
        )
    result = doubtful("resolve", "m.voice", "--voice", "--pay-again")
    assert result.exit_code == 2
    assert "voice attempt 2 is planned: nothing was sent" in result.stderr


def test_a_person_without_a_name_is_a_number(
    doubtful: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nameless() -> str:
        raise KeyError("getpwuid(): uid not found: 4711")

    monkeypatch.setattr("getpass.getuser", nameless)
    assert doubtful("resolve", "m.a", "--pay-again").exit_code == 0
    assert last_event(doubtful, "a").actor.startswith("person:uid-")


def test_all_settles_every_doubt_after_asking_back(doubtful: Shell) -> None:
    young = doubtful("resolve", "--all", "--not-created", "--yes")
    assert young.exit_code == 0
    assert "No request has been in doubt for 1 hours or longer." in young.stdout

    words = ("resolve", "--all", "--older-than", "0m", "--not-created")
    refused = doubtful(*words, input="n\n")
    assert refused.exit_code == 2
    assert "Nothing was changed." in refused.stderr
    assert set(doubtful.standings("m").values()) == {"in doubt", "saved"}

    said = doubtful(*words, input="y\n", LOGNAME="carol")
    assert said.exit_code == 0, said.output
    assert "3 requests in doubt, which may have cost up to " in said.stdout
    assert "m.a: video attempt 1 is settled as not created" in said.stdout
    assert "m.voice: voice attempt 1 is settled as not created" in said.stdout
    assert set(doubtful.standings("m").values()) == {"refused", "saved"}
    assert last_event(doubtful, "b").actor == "person:carol"


def test_all_may_be_narrowed_to_manifests_and_voices(doubtful: Shell) -> None:
    words = ("resolve", "--all", "--older-than", "0m", "--pay-again", "--yes")
    assert "No request" in doubtful(*words, "other").stdout
    assert "m.voice: voice attempt 1 is given up" in doubtful(*words, "--voice", "m").stdout
    assert attempt_of(doubtful, "a").pay_again_at is None
    assert doubtful(*words).exit_code == 0
    assert attempt_of(doubtful, "a").pay_again_at is not None


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("--all", "--video-id", "64dd90f9f0b6684651e90d60"), "An id belongs to one script"),
        (("--all", "--older-than", "soon", "--not-created"), "write one such as 30m, 12h or 2d"),
    ],
)
def test_all_is_refused_where_it_means_nothing(
    doubtful: Shell, words: tuple[str, ...], complaint: str
) -> None:
    result = doubtful("resolve", *words)
    assert result.exit_code == 2
    assert complaint in " ".join(result.stderr.split())
