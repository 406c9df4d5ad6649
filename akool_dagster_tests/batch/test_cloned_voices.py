"""Rows that are spoken in the voice of a sample, over real HTTP: cloned once, spoken by all."""

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Response

from akool_dagster.batch.alarms import open_doubts
from akool_dagster.batch.clones import clones_made, delete_clones
from akool_dagster.batch.outcomes import Outcome, Trouble
from akool_dagster.batch.row_status import row_statuses
from akool_dagster.batch.stages import STAGES, Stage
from akool_dagster.batch.stages.sample_book import (
    MOST_SAMPLE_BYTES,
    Sample,
    SampleBook,
    UnusableSample,
)
from akool_dagster.batch.standing import Standing
from akool_dagster.batch.tools import Tools
from akool_dagster.batch.walk import Walk
from akool_dagster.batch.wording import clone_name
from akool_dagster.emulator import Fault, RunningEmulator
from akool_dagster.ledger import Attempt, Kind, Limits, State
from akool_dagster.manifest import ScriptRow
from akool_dagster_tests.reliability.killed_process import Death
from akool_dagster_tests.reliability.killing import kill
from akool_dagster_tests.support import csv_line, opened_tools, plain_line, quick_rules
from akool_dagster_tests.test_media import MP3, MP4, SILENT_MP4, WAV

RowsOf = Callable[..., list[ScriptRow]]


class Samples:
    """A media host whose files can be exchanged, and that counts who reads them."""

    def __init__(self, server: HTTPServer) -> None:
        self.url = server.url_for("").rstrip("/")
        self.files: dict[str, Response | bytes] = {"/one.mp3": MP3, "/two.wav": WAV}
        self.reads: list[str] = []
        self._lock = threading.Lock()
        server.expect_request("/one.mp3").respond_with_handler(self._answer)
        for path in ("/two.wav", "/three.mp3", "/odd.mp3"):
            server.expect_request(path).respond_with_handler(self._answer)

    def __getitem__(self, name: str) -> str:
        return f"{self.url}/{name}"

    def _answer(self, request) -> Response:
        with self._lock:
            self.reads.append(request.path)
        body = self.files.get(request.path, Response("gone", status=404))
        if isinstance(body, Response):
            return body
        kind = "audio/wav" if request.path.endswith("wav") else "audio/mpeg"
        return Response(body, content_type=kind)


@pytest.fixture
def samples(httpserver: HTTPServer) -> Samples:
    return Samples(httpserver)


def line(script_id: str, url: str, text: str = "") -> str:
    return csv_line(
        script_id, script=text or f"This is {script_id}.", voice_sample_url=url,
        avatar_id="Jane_in_Blue_2024",
    )  # fmt: skip


def walk(
    tools: Tools, rows: Sequence[ScriptRow], *stages: Stage, run_id: str = "run"
) -> list[Outcome]:
    # Each run is a process of its own, which reads the samples anew.
    fresh = replace(tools, samples=SampleBook())
    return list(Walk(fresh, run_id=run_id).outcomes(rows, stages=stages or (Stage.VOICE,)))


def accepted(akool: RunningEmulator) -> dict[str, int]:
    return {kind: count for kind, count in akool.emulator.stats().accepted.items() if count}


def received(akool: RunningEmulator) -> int:
    return sum(akool.emulator.stats().received.values())


def clones(tools: Tools) -> list[Attempt]:
    return tools.ledger.attempts.in_states(kind=Kind.CLONE, states=list(State))


def standings(tools: Tools, rows: Sequence[ScriptRow]) -> set[Standing]:
    return {status.standing for status in row_statuses(tools.ledger, rows)}


def test_equal_samples_are_cloned_once_and_each_text_is_spoken_once(
    tools: Tools, emulator: RunningEmulator, samples: Samples, rows_of: RowsOf
) -> None:
    samples.files["/three.mp3"] = MP3  # the bytes of the first, behind another link
    urls = [samples["one.mp3"], samples["two.wav"], samples["three.mp3"]]
    rows = rows_of(*(line(f"r{n}", urls[n % 3], f"Text {n % 15}.") for n in range(20)))
    outcomes = walk(tools, rows, *STAGES)
    assert [outcome.report for outcome in outcomes if not outcome.ok] == []
    assert len(outcomes) == 60
    assert accepted(emulator) == {"clone": 2, "voice": 15, "video": 15}
    assert sorted(samples.reads) == ["/one.mp3", "/three.mp3", "/two.wav"]

    voices = {attempt.content_hash: attempt.answer or {} for attempt in clones(tools)}
    used = {job.body["voice_id"] for job in emulator.emulator.jobs("voice")}
    assert used == {answer["voice_id"] for answer in voices.values()}
    assert len(used) == 2
    named = {job.body["name"] for job in emulator.emulator.jobs("clone")}
    assert named == {clone_name(sha256) for sha256 in voices}

    before = received(emulator)
    assert all(outcome.ok for outcome in walk(tools, rows, *STAGES, run_id="again"))
    assert received(emulator) == before
    assert len(samples.reads) == 3, "a voice that is there needs no sample"


def test_manifests_and_runs_share_a_clone(
    tools: Tools, emulator: RunningEmulator, samples: Samples, rows_of: RowsOf
) -> None:
    first = rows_of(line("a", samples["one.mp3"]), name="first")
    second = rows_of(line("a", samples["one.mp3"], "Another text."), name="second")
    assert all(outcome.ok for outcome in walk(tools, first, run_id="one"))
    assert all(outcome.ok for outcome in walk(tools, second, run_id="two"))
    assert accepted(emulator) == {"clone": 1, "voice": 2}
    (clone,) = clones_made(tools.ledger, [*first, *second])
    assert (clone.rows, clone.unspoken) == (("first.a", "second.a"), ())
    assert clone.links == (samples["one.mp3"],)
    assert clone.last_used is not None


def test_v3_takes_the_sample_itself(
    emulator: RunningEmulator, samples: Samples, rows_of: RowsOf, tmp_path: Path
) -> None:
    rows = rows_of(line("a", samples["one.mp3"]), line("b", samples["one.mp3"]))
    with opened_tools(emulator, tmp_path, rules=quick_rules(voice_api="v3")) as tools:
        assert all(outcome.ok for outcome in walk(tools, rows))
    assert accepted(emulator) == {"voice": 2}
    assert {job.page for job in emulator.emulator.jobs("voice")} == {"audio/clone"}
    assert samples.reads == []


BAD = {
    "too large": (Response(bytes(MOST_SAMPLE_BYTES + 1), content_type="audio/mpeg"), "larger than"),
    "a page": (Response("<html>Log in</html>", content_type="text/html"), "text/html, no media"),
    "a page that poses as sound": (b"<html>Log in</html>", "one.mp3: it is"),
    "cut off": (MP4[: len(MP4) // 2], "one.mp3: it is"),
    "without sound": (SILENT_MP4, "it holds no sound"),
    "dead": (Response("gone", status=404), "HTTP 404"),
}


@pytest.mark.parametrize("case", list(BAD))
def test_a_sample_that_cannot_be_cloned_spends_nothing(
    case: str, tools: Tools, emulator: RunningEmulator, samples: Samples, rows_of: RowsOf
) -> None:
    samples.files["/one.mp3"], told = BAD[case]
    rows = rows_of(*(line(f"r{n}", samples["one.mp3"]) for n in range(5)))
    outcomes = walk(tools, rows)
    assert {outcome.trouble for outcome in outcomes} == {Trouble.ROW}
    assert all(told in outcome.text for outcome in outcomes), outcomes[0].text
    assert all("Nothing was sent" in outcome.text for outcome in outcomes)
    assert received(emulator) == 0
    assert samples.reads == ["/one.mp3"], "once, whatever the number of rows"
    for status in row_statuses(tools.ledger, rows):
        assert status.standing is Standing.NEW
        assert told in status.cause

    samples.files["/one.mp3"] = MP3
    assert all(outcome.ok for outcome in walk(tools, rows, run_id="mended"))


def test_a_sample_of_the_greatest_size_is_taken(
    tools: Tools, emulator: RunningEmulator, samples: Samples, rows_of: RowsOf
) -> None:
    samples.files["/two.wav"] = WAV + bytes(2_000_000)
    assert all(outcome.ok for outcome in walk(tools, rows_of(line("a", samples["two.wav"]))))
    assert accepted(emulator) == {"clone": 1, "voice": 1}


def test_a_network_that_fails_is_no_fault_of_the_row(
    tools: Tools, emulator: RunningEmulator, rows_of: RowsOf
) -> None:
    def fail(url: str) -> Sample:
        raise UnusableSample("the host fell silent", is_passing=True)

    rows = rows_of(line("a", "https://media.example/a.mp3"))
    broken = replace(tools, samples=SampleBook(fetch=fail))
    (outcome,) = Walk(broken, run_id="run").outcomes(rows, stages=[Stage.VOICE])
    assert outcome.trouble is Trouble.LATER
    assert received(emulator) == 0


def test_a_secret_in_a_links_query_is_not_kept(
    tools: Tools, samples: Samples, rows_of: RowsOf, tmp_path: Path
) -> None:
    secret = "Signature-f00ba4"
    samples.files["/one.mp3"] = Response("gone", status=404)
    rows = rows_of(
        line("a", f"{samples['one.mp3']}?sig={secret}"),
        line("b", f"{samples['two.wav']}?sig={secret}"),
    )
    outcomes = walk(tools, rows)
    assert [outcome.ok for outcome in sorted(outcomes, key=lambda o: o.key)] == [False, True]
    assert secret not in repr(outcomes)
    kept = b"".join(path.read_bytes() for path in tmp_path.glob("ledger.sqlite*"))
    assert secret.encode() not in kept


def test_a_lost_answer_puts_every_row_in_doubt_and_is_sent_once(
    tools: Tools, emulator: RunningEmulator, samples: Samples, rows_of: RowsOf
) -> None:
    rows = rows_of(*(line(f"r{n}", samples["one.mp3"]) for n in range(8)))
    emulator.emulator.faults.add(Fault(kind="drop", on="POST */voice/clone", next=1))
    for run_id in ("first", "second"):
        outcomes = walk(tools, rows, run_id=run_id)
        assert [outcome.trouble for outcome in outcomes] == [Trouble.DOUBT] * 8
        for outcome in outcomes:
            assert f"akool-dagster resolve {outcome.key} --clone" in outcome.advice
            assert "clone of this row's voice sample" in outcome.text
            assert "5 credits may have been charged" in outcome.cost
    assert emulator.emulator.stats().received == {"clone": 1}
    for status in row_statuses(tools.ledger, rows):
        assert status.standing is Standing.IN_DOUBT
        assert not status.may_be_asked_again
        assert "clone" in status.cause
    doubts = open_doubts(tools.ledger, kind=Kind.CLONE)
    assert sorted(doubt.key for doubt in doubts) == [row.key for row in rows]
    assert len({doubt.attempt.id for doubt in doubts}) == 1

    (job,) = emulator.emulator.jobs("clone")
    tools.ledger.attempts.accept(doubts[0].attempt.id, remote_id=job.id, next_look_at=0.0)
    assert all(outcome.ok for outcome in walk(tools, rows, run_id="settled"))
    assert accepted(emulator) == {"clone": 1, "voice": 8}


def test_a_clone_that_fails_costs_one_create_until_a_person_says_so(
    tools: Tools, emulator: RunningEmulator, samples: Samples, rows_of: RowsOf
) -> None:
    marker = "?m=[[clone:failed%201112%20too%20noisy]]"
    rows = rows_of(*(line(f"r{n}", samples["one.mp3"] + marker) for n in range(6)))
    for run_id in ("first", "second", "third"):
        outcomes = walk(tools, rows, run_id=run_id)
        assert {outcome.code for outcome in outcomes} == {1112}
        for outcome in outcomes:
            assert "The clone of this row's voice sample failed: too noisy" in outcome.text
            assert f"akool-dagster resolve {outcome.key} --clone --pay-again" in outcome.advice
    assert accepted(emulator) == {"clone": 1}
    for status in row_statuses(tools.ledger, rows):
        assert status.standing is Standing.FAILED
        assert "clone" in status.cause
        assert not status.may_be_asked_again

    tools.ledger.attempts.allow_paying_again(clones(tools)[0].id, by="person:kim")
    assert standings(tools, rows) == {Standing.NOT_REQUESTED}
    walk(tools, rows, run_id="again")
    assert accepted(emulator) == {"clone": 2}


def test_a_refused_clone_is_asked_for_once_a_run(
    tools: Tools, emulator: RunningEmulator, samples: Samples, rows_of: RowsOf
) -> None:
    url = samples["one.mp3"] + "?m=[[clone:1003]]"
    rows = rows_of(*(line(f"r{n}", url) for n in range(6)))
    outcomes = walk(tools, rows)
    assert {(outcome.code, outcome.cost) for outcome in outcomes} == {(1003, "Not charged.")}
    assert emulator.emulator.stats().received == {"clone": 1}
    assert standings(tools, rows) == {Standing.REFUSED}


def test_rows_wait_for_their_clone_without_holding_a_thread(
    tools: Tools, emulator: RunningEmulator, samples: Samples, rows_of: RowsOf
) -> None:
    url = samples["one.mp3"] + "?m=[[clone:slow%2036000]]"
    slow = [line(f"slow-{n}", url) for n in range(40)]
    rows = rows_of(*slow, *(plain_line(f"quick-{n}") for n in range(5)))
    outcomes = Walk(tools, run_id="run").outcomes(rows, stages=[Stage.VOICE])
    first = [next(outcomes).key for _ in range(5)]
    assert {key.rpartition("-")[0] for key in first} == {"m.quick"}
    emulator.emulator.clock.advance(40_000)
    assert all(outcome.ok for outcome in outcomes)


def test_a_row_whose_clone_is_being_made_says_so(
    tools: Tools, emulator: RunningEmulator, samples: Samples, rows_of: RowsOf, tmp_path: Path
) -> None:
    rows = rows_of(line("a", samples["one.mp3"] + "?m=[[clone:slow%20100]]"))
    rules = quick_rules(render_deadline_seconds=0.05, poll_seconds=0.02)
    with opened_tools(emulator, tmp_path, rules=rules) as impatient:
        (outcome,) = walk(impatient, rows)
    assert (outcome.trouble, outcome.stage) == (Trouble.LATER, Stage.VOICE)
    (status,) = row_statuses(tools.ledger, rows)
    assert status.standing is Standing.VOICE_PENDING
    assert "cloning" in status.cause
    assert status.may_be_asked_again
    assert all(outcome.ok for outcome in walk(tools, rows, run_id="later"))
    assert accepted(emulator) == {"clone": 1, "voice": 1}


def test_a_deleted_clone_is_made_again_when_it_is_needed(
    tools: Tools, emulator: RunningEmulator, samples: Samples, rows_of: RowsOf
) -> None:
    rows = rows_of(line("a", samples["one.mp3"]))
    walk(tools, rows)
    made = clones_made(tools.ledger, rows)
    assert delete_clones(tools.client, tools.ledger, made, person="person:kim") == {}
    (first,) = clones(tools)
    assert first.state is State.DELETED
    assert "person:kim" in (tools.ledger.attempts.history(first.id)[-1].detail or "")
    assert tools.client.list_voices("v4")[-1].is_own is False
    assert clones_made(tools.ledger, rows) == []

    assert all(outcome.ok for outcome in walk(tools, rows, run_id="again"))
    assert accepted(emulator) == {"clone": 1, "voice": 1}, "what is spoken stays spoken"
    more = rows_of(line("b", samples["one.mp3"]), name="more")
    assert all(outcome.ok for outcome in walk(tools, more, run_id="more"))
    assert [attempt.number for attempt in clones(tools)] == [1, 2]
    assert accepted(emulator) == {"clone": 2, "voice": 2}


def test_a_clone_that_somebody_deleted_at_akool_is_made_again(
    tools: Tools, emulator: RunningEmulator, samples: Samples, rows_of: RowsOf
) -> None:
    walk(tools, rows_of(line("a", samples["one.mp3"]), name="first"))
    emulator.emulator.delete(emulator.emulator.jobs("clone")[0].id)
    rows = rows_of(*(line(f"r{n}", samples["one.mp3"]) for n in range(3)))
    assert all(outcome.ok for outcome in walk(tools, rows, run_id="second"))
    assert [attempt.state for attempt in clones(tools)] == [State.DELETED, State.COMPLETED]
    assert accepted(emulator) == {"clone": 2, "voice": 4}


def test_a_speech_that_is_refused_for_its_own_sake_is_asked_once(
    tools: Tools, emulator: RunningEmulator, samples: Samples, rows_of: RowsOf
) -> None:
    rows = rows_of(line("a", samples["one.mp3"], "Hello. [[voice:1014]]"))
    (outcome,) = walk(tools, rows)
    assert (outcome.code, outcome.trouble) == (1014, Trouble.ROW)
    assert emulator.emulator.stats().received == {"clone": 1, "voice": 1}
    (status,) = row_statuses(tools.ledger, rows)
    assert (status.standing, status.may_be_asked_again) == (Standing.REFUSED, False)


def test_a_file_that_changed_behind_its_link_is_another_clone_for_what_is_not_yet_spoken(
    tools: Tools, emulator: RunningEmulator, samples: Samples, rows_of: RowsOf
) -> None:
    old = rows_of(line("a", samples["one.mp3"]), name="old")
    walk(tools, old)
    samples.files["/one.mp3"] = WAV
    new = rows_of(line("b", samples["one.mp3"]), name="new")
    assert all(outcome.ok for outcome in walk(tools, [*old, *new], run_id="changed"))
    assert accepted(emulator) == {"clone": 2, "voice": 2}
    assert {job.body["voice_id"] for job in emulator.emulator.jobs("voice")} == {
        (attempt.answer or {})["voice_id"] for attempt in clones(tools)
    }
    before, after = clones_made(tools.ledger, [*old, *new])
    assert (before.rows, after.rows) == ((), ("old.a", "new.b"))


def test_the_cap_and_a_stopped_account_hold_for_clones(
    tools: Tools, emulator: RunningEmulator, samples: Samples, rows_of: RowsOf, tmp_path: Path
) -> None:
    rows = rows_of(line("a", samples["one.mp3"]))
    rules = quick_rules(limits=Limits(max_in_flight=10, max_credits=4.0))
    with opened_tools(emulator, tmp_path, rules=rules) as capped:
        (outcome,) = walk(capped, rows)
    assert outcome.trouble is Trouble.ACCOUNT
    assert "5 credits that this clone may cost" in outcome.text
    assert received(emulator) == 0

    tools.ledger.account.stop(code=1101, reason="no", advice=None)
    emulator.emulator.set_credits(0.0)
    (outcome,) = walk(tools, rows, run_id="stopped")
    assert outcome.trouble is Trouble.ACCOUNT
    assert received(emulator) == 0


@pytest.fixture
def killed(emulator: RunningEmulator, samples: Samples, tmp_path: Path) -> Iterator[Callable]:
    def run(place: str, moment: str, rows_of: RowsOf) -> list[ScriptRow]:
        rows = rows_of(*(line(f"r{n}", samples["one.mp3"]) for n in range(3)))
        death = Death(
            place=place, moment=moment, call=1, data=str(tmp_path),  # type: ignore[arg-type]
            base_url=emulator.url, login=("", emulator.api_key),
        )  # fmt: skip
        (end,) = kill([death])
        assert end["signal"] == 9
        return rows

    yield run


@pytest.mark.parametrize(
    ("place", "moment", "is_doubtful"),
    [
        ("start_sending", "before", False),
        ("start_sending", "after", True),
        ("answer", "after", True),
        ("accept", "after", False),
    ],
)
def test_a_process_killed_over_a_clone_never_pays_for_it_twice(
    place: str,
    moment: str,
    is_doubtful: bool,
    killed: Callable,
    tools: Tools,
    emulator: RunningEmulator,
    rows_of: RowsOf,
) -> None:
    rows = killed(place, moment, rows_of)
    outcomes = walk(tools, rows, *STAGES, run_id="restarted")
    if is_doubtful:
        assert {outcome.trouble for outcome in outcomes} == {Trouble.DOUBT}
        assert accepted(emulator).get("clone", 0) <= 1
        assert "voice" not in accepted(emulator)
    else:
        assert [outcome.report for outcome in outcomes if not outcome.ok] == []
        assert accepted(emulator) == {"clone": 1, "voice": 3, "video": 3}
