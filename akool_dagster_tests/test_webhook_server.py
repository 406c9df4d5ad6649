"""Callbacks over real HTTP: what they are answered with, and what becomes of doubt."""

import contextlib
import json
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
import sqlalchemy as sa
from click.testing import CliRunner

from akool_dagster import webhook_server
from akool_dagster.akool import ClientLogin
from akool_dagster.batch.outcomes import Outcome, Trouble
from akool_dagster.batch.stages import STAGES, Stage
from akool_dagster.batch.tools import Tools
from akool_dagster.batch.walk import Walk
from akool_dagster.cli.main import main
from akool_dagster.emulator import EmulatorConfig, Fault, RenderTimes, RunningEmulator, serve
from akool_dagster.emulator.webhooks import seal
from akool_dagster.ledger import Attempt, Effect, Kind, Ledger, State
from akool_dagster.manifest import ScriptRow
from akool_dagster.webhook_server import MAX_BODY_BYTES, build_app, build_server
from akool_dagster_tests.ledger.test_callbacks import accepted, doubted, saved
from akool_dagster_tests.support import opened_tools, plain_line, quick_rules

LOGIN = ClientLogin("EXAMPLE-client-id-24chr=", "EXAMPLE-secret-32-characters-xx=")
ID = "0123456789abcdef01234567"
WAIT = (5, 20)
RowsOf = Callable[..., list[ScriptRow]]


@contextlib.contextmanager
def running(ledger: Ledger, login: ClientLogin = LOGIN, **options: Any) -> Iterator[str]:
    """Runs the server in a thread; gives its root address."""
    server = build_server(build_app(ledger, login, **options))
    with contextlib.closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(128)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(timeout=20)
            assert not thread.is_alive()


def sealed(remote_id: str = ID, *, status: int = 3, nonce: str = "1", **changes: Any) -> bytes:
    payload = {"_id": remote_id, "status": status, "type": "avatar", "url": "http://plain.text/v"}
    body = seal(
        json.dumps(payload).encode(), client_id=LOGIN.client_id, client_secret=LOGIN.client_secret,
        timestamp=1, nonce=nonce,
    )  # fmt: skip
    return json.dumps(body | changes).encode()


@pytest.fixture
def url_of_ledger(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'ledger.sqlite'}"


@pytest.fixture
def ledger(url_of_ledger: str) -> Iterator[Ledger]:
    with Ledger.open(url_of_ledger, service="emulator") as opened:
        yield opened


@pytest.fixture
def root(ledger: Ledger) -> Iterator[str]:
    with running(ledger) as address:
        yield address


def post(root: str, attempt: Attempt, body: bytes) -> int:
    return requests.post(
        f"{root}/akool/{attempt.webhook_token}", data=body, timeout=WAIT
    ).status_code


@pytest.fixture(scope="module")
def steady(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Ledger, Attempt]]:
    """One server for the tests whose callbacks change nothing, and an attempt in doubt."""
    url = f"sqlite:///{tmp_path_factory.mktemp('steady') / 'ledger.sqlite'}"
    with Ledger.open(url, service="emulator") as ledger, running(ledger) as address:
        yield address, ledger, doubted(ledger)


def test_200_means_durable(root: str, ledger: Ledger, url_of_ledger: str) -> None:
    attempt = doubted(ledger)
    assert post(root, attempt, sealed()) == 200
    with Ledger.open(url_of_ledger, service="emulator") as other:
        now = other.attempts.get(attempt.id)
        assert (now.state, now.remote_id) == (State.ACCEPTED, ID)
        (news,) = other.callbacks.of(attempt.id)
        assert news.effect is Effect.PROVED


def test_what_needs_no_resend_is_answered_with_200(root: str, ledger: Ledger) -> None:
    done = saved(ledger)
    assert post(root, done, sealed("r1")) == 200
    assert post(root, done, sealed("r2")) == 200
    assert ledger.attempts.get(done.id) == done
    doubt = doubted(ledger, "b")
    assert [post(root, doubt, sealed(nonce=nonce)) for nonce in "112"] == [200, 200, 200]
    assert len(ledger.callbacks.of(doubt.id)) == 1


def test_a_callback_of_another_attempt_settles_nothing(root: str, ledger: Ledger) -> None:
    first, second = doubted(ledger, "a"), doubted(ledger, "b")
    body = sealed()
    assert post(root, first, body) == 200
    assert post(root, second, body) == 200
    assert ledger.attempts.get(second.id) == second


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        (sealed(signature="0" * 40), 401),
        (sealed(timestamp=2), 401),
        (b"", 400),
        (b"junk", 400),
        (b"[" * 60_000, 400),
        (sealed("a b"), 400),
        (sealed(status=9), 400),
        (b" " * (MAX_BODY_BYTES + 1), 413),
        (sealed() + b" " * MAX_BODY_BYTES, 413),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_junk_is_refused_and_changes_nothing(
    steady: tuple[str, Ledger, Attempt], body: bytes, answer: int
) -> None:
    root, ledger, attempt = steady
    assert post(root, attempt, body) == answer
    assert ledger.attempts.get(attempt.id) == attempt
    assert ledger.callbacks.of(attempt.id) == []


def test_a_body_of_just_the_limit_is_read(root: str, ledger: Ledger) -> None:
    body = sealed()
    assert post(root, doubted(ledger), body + b" " * (MAX_BODY_BYTES - len(body))) == 200


@pytest.mark.parametrize(
    "path",
    ["/akool/" + "x" * 32, "/akool/short", "/akool/" + "x" * 65, "/akool/" + "x" * 20 + "%00",
     "/akool/" + "x" * 20 + "%ed%a0%80", "/akool/", "/akool", "/", "/akool/a/b"],
)  # fmt: skip
def test_addresses_that_nothing_has(steady: tuple[str, Ledger, Attempt], path: str) -> None:
    root, _, _ = steady
    assert requests.post(root + path, data=sealed(), timeout=WAIT).status_code == 404


def test_other_methods_and_health(root: str, ledger: Ledger) -> None:
    attempt = doubted(ledger)
    address = f"{root}/akool/{attempt.webhook_token}"
    assert requests.get(address, timeout=WAIT).status_code == 405
    healthy = requests.get(f"{root}/healthz", timeout=WAIT)
    assert (healthy.status_code, healthy.json()) == (200, {"status": "ok"})
    assert "server" not in healthy.headers


def endless(root: str, path: str) -> socket.socket:
    """Begins a request whose body never ends."""
    host, port = root.removeprefix("http://").split(":")
    client = socket.create_connection((host, int(port)), timeout=10)
    head = f"POST {path} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
    client.sendall(head.encode())
    return client


def test_an_endless_body_is_cut_off_at_the_limit(root: str, ledger: Ledger) -> None:
    path = f"/akool/{doubted(ledger).webhook_token}"
    with endless(root, path) as client:
        chunk = b"1000\r\n" + b" " * 0x1000 + b"\r\n"
        client.sendall(chunk * 17)
        assert client.recv(100).startswith(b"HTTP/1.1 413")


def test_a_body_that_stalls_or_breaks_off_is_given_up(
    root: str, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook_server, "_BODY_SECONDS", 0.1)
    path = f"/akool/{doubted(ledger).webhook_token}"
    with endless(root, path) as client:
        assert client.recv(100).startswith(b"HTTP/1.1 400")
    endless(root, path).close()
    assert requests.get(f"{root}/healthz", timeout=WAIT).status_code == 200


@contextlib.contextmanager
def locked(url: str) -> Iterator[None]:
    """Another process that writes for long."""
    engine = sa.create_engine(url)
    with contextlib.closing(engine.raw_connection()) as connection:
        cursor = connection.cursor()
        cursor.execute("BEGIN IMMEDIATE")
        yield
        cursor.execute("ROLLBACK")
    engine.dispose()


def test_a_ledger_that_is_busy_blocks_nobody_else_and_loses_nothing(
    ledger: Ledger, url_of_ledger: str
) -> None:
    attempts = [doubted(ledger, f"c{number}") for number in range(6)]
    junk = doubted(ledger, "junk")
    answers: list[int] = []
    with running(ledger, answer_seconds=10.0) as root:
        threads = [
            threading.Thread(target=lambda a=a: answers.append(post(root, a, sealed(f"id-{a.id}"))))
            for a in attempts
        ]
        with locked(url_of_ledger):
            for thread in threads:
                thread.start()
            time.sleep(0.2)
            began = time.monotonic()
            assert requests.get(f"{root}/healthz", timeout=WAIT).status_code == 200
            assert post(root, junk, sealed(signature="0" * 40)) == 401
            assert time.monotonic() - began < 1.0
            assert answers == []
        for thread in threads:
            thread.join(timeout=20)
    assert answers == [200] * 6
    assert {ledger.attempts.get(a.id).state for a in attempts} == {State.ACCEPTED}


def test_too_busy_for_too_long_is_503_and_a_resend_is_no_second_effect(
    ledger: Ledger, url_of_ledger: str
) -> None:
    first, second = doubted(ledger, "a"), doubted(ledger, "b")
    with running(ledger, threads=1, waiting=1, answer_seconds=0.1) as root:
        with locked(url_of_ledger):
            assert post(root, first, sealed("id-a")) == 503  # not in time
            assert post(root, second, sealed("id-b")) == 503  # no place left
        assert wait_for(lambda: ledger.attempts.get(first.id).state is State.ACCEPTED)
        history = ledger.attempts.history(first.id)
        assert wait_for(lambda: post(root, first, sealed("id-a")) == 200)
        assert ledger.attempts.history(first.id) == history
        assert ledger.attempts.get(second.id) == second
        assert wait_for(lambda: post(root, second, sealed("id-b")) == 200)
    assert ledger.attempts.get(second.id).state is State.ACCEPTED


def test_a_broken_ledger_is_503(
    root: str, ledger: Ledger, url_of_ledger: str, caplog: pytest.LogCaptureFixture
) -> None:
    attempt = doubted(ledger)
    engine = sa.create_engine(url_of_ledger)
    with engine.begin() as connection:
        connection.execute(sa.text("ALTER TABLE akool_callbacks RENAME TO away"))
    assert post(root, attempt, sealed()) == 503
    assert "no such table" in caplog.text
    assert attempt.webhook_token not in caplog.text
    assert ID not in caplog.text
    with engine.begin() as connection:
        connection.execute(sa.text("ALTER TABLE away RENAME TO akool_callbacks"))
    engine.dispose()
    assert post(root, attempt, sealed()) == 200


def test_neither_logs_nor_answers_tell_secrets(
    root: str, ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    logging.getLogger("urllib3").setLevel(logging.INFO)  # the client's, which logs its addresses
    attempts = [doubted(ledger, "b"), accepted(ledger, "c", remote_id="r2"), saved(ledger)]
    bodies = [sealed(), sealed("r1"), sealed(signature="bad"), b"plain.text", sealed("bad id")]
    bodies.append(sealed().replace(b'"dataEncrypt": "', b'"dataEncrypt": "A'))
    told = ""
    for attempt in attempts:
        for body in bodies:
            answer = requests.post(f"{root}/akool/{attempt.webhook_token}", data=body, timeout=WAIT)
            told += answer.text + str(answer.headers)
    assert f"Callback for attempt {attempts[0].id}: AKOOL id {ID} has status 3: proved" in (
        caplog.text
    )
    hidden = [attempt.webhook_token for attempt in attempts]
    hidden += [LOGIN.client_secret, LOGIN.client_id, "plain.text"]
    hidden.append(json.loads(bodies[0])["dataEncrypt"])
    everything = told + "".join(repr(vars(record)) for record in caplog.records)
    assert [word for word in hidden if word in everything] == []


# -- the whole way: a create whose answer is lost, and AKOOL's callback ----------------------------


@dataclass(frozen=True)
class Way:
    """An emulator, the webhook server, and a batch that names it in its requests."""

    akool: RunningEmulator
    tools: Tools

    def walk(self, rows: Sequence[ScriptRow], *stages: Stage, run_id: str) -> list[Outcome]:
        return list(Walk(self.tools, run_id=run_id).outcomes(rows, stages=stages or STAGES))

    def lose(self, pattern: str, **options: Any) -> None:
        self.akool.emulator.faults.add(Fault(kind="drop", on=pattern, **options))

    def attempt(self, row: ScriptRow, kind: Kind = Kind.VIDEO) -> Attempt:
        content = row.video_hash if kind is Kind.VIDEO else row.voice_hash
        attempt = self.tools.ledger.attempts.latest(kind=kind, content_hash=content)
        assert attempt is not None
        return attempt

    def in_doubt(self) -> int:
        return sum(
            len(self.tools.ledger.attempts.in_states(kind=kind, states=[State.IN_DOUBT]))
            for kind in Kind
        )

    def proved(self) -> int:
        """How many creates were settled by a callback: those whose answer was lost."""
        return sum(
            news.effect is Effect.PROVED
            for kind in Kind
            for attempt in self.tools.ledger.attempts.in_states(kind=kind, states=list(State))
            for news in self.tools.ledger.callbacks.of(attempt.id)
        )

    def is_settled(self) -> bool:
        return self.in_doubt() == 0

    def are_ids_true(self) -> bool:
        """Whether each attempt has the id of the job that named it in its callback address."""
        jobs = {job.webhook_url.rpartition("/")[2]: job.id for job in self.akool.emulator.jobs()}
        attempts = [
            attempt
            for kind in Kind
            for attempt in self.tools.ledger.attempts.in_states(kind=kind, states=list(State))
        ]
        return {a.webhook_token: a.remote_id for a in attempts if a.remote_id} == jobs

    def webhooks(self) -> dict[str, int]:
        return dict(self.akool.emulator.stats().webhooks)


def wait_for(holds: Callable[[], bool], *, seconds: float = 15.0) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if holds():
            return True
        time.sleep(0.02)
    return holds()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Way]]:
    stack = contextlib.ExitStack()

    def begin(**habits: Any) -> Way:
        # A callback may overtake the answer, or the end of a lost one: the tests allow for both.
        times = RenderTimes(video=40.0, queueing=20.0, sigma=0.2)
        config = EmulatorConfig(speed=200.0, media="tiny", slots=20, times=times)
        akool = stack.enter_context(serve(config))
        akool.emulator.configure(webhooks=habits)
        service = stack.enter_context(
            Ledger.open(f"sqlite:///{tmp_path / 'ledger.sqlite'}", service="emulator")
        )
        login = ClientLogin(akool.client_id, akool.client_secret)
        root = stack.enter_context(running(service, login))
        rules = quick_rules(webhook_url=f"{root}/")
        return Way(akool, stack.enter_context(opened_tools(akool, tmp_path, rules=rules)))

    with stack:
        yield begin


HABITS = {
    "plain": {},
    "status 2": {"status_2": True},
    "copies": {"copies": 3},
    "reordered": {"reorder": True, "copies": 2},
    "number nonce": {"number_nonce": True},
    "translation's names": {"translation_fields": True, "status_2": True},
    "all": {
        "status_2": True, "copies": 2, "reorder": True, "number_nonce": True,
        "translation_fields": True,
    },
}  # fmt: skip


@pytest.mark.parametrize("habits", HABITS.values(), ids=HABITS)
def test_doubts_settle_by_themselves(
    start: Callable[..., Way], rows_of: RowsOf, habits: dict[str, Any]
) -> None:
    way = start(**habits)
    rows = rows_of(*(plain_line(name) for name in "abc"))
    assert all(outcome.ok for outcome in way.walk(rows, Stage.VOICE, run_id="voices"))
    way.lose("POST */talkingavatar/create", next=2)
    first = way.walk(rows, Stage.VIDEO, run_id="first")
    assert {outcome.trouble for outcome in first} <= {None, Trouble.DOUBT}

    assert wait_for(way.is_settled)
    assert way.proved() >= 2
    assert way.are_ids_true()
    assert all(outcome.ok for outcome in way.walk(rows, run_id="later"))
    assert way.akool.emulator.stats().received["video"] == 3
    for row in rows:
        assert way.tools.storage.video_path(row.key).exists()
        moves = [e.after for e in way.tools.ledger.attempts.history(way.attempt(row).id)]
        assert len(moves) == len(set(moves))
        assert moves[-1] is State.SAVED


def test_a_voice_in_doubt_settles_too(start: Callable[..., Way], rows_of: RowsOf) -> None:
    way = start()
    rows = rows_of(plain_line("a"), plain_line("b"))
    way.lose("POST */voice/tts", next=1)
    first = way.walk(rows, run_id="first")
    assert {out.stage for out in first if out.trouble is Trouble.DOUBT} <= {Stage.VOICE}
    assert wait_for(way.is_settled)
    assert way.proved() >= 1
    assert all(outcome.ok for outcome in way.walk(rows, run_id="later"))
    assert way.are_ids_true()
    assert way.akool.emulator.stats().received == {"voice": 2, "video": 2}


def test_a_callback_before_the_answer_leaves_no_doubt_at_all(
    start: Callable[..., Way], rows_of: RowsOf
) -> None:
    way = start(before_answer=True, copies=2)
    rows = rows_of(*(plain_line(name) for name in "abcd"))
    way.lose("POST */talkingavatar/create", next=2)
    assert all(outcome.ok for outcome in way.walk(rows, run_id="only"))
    assert way.are_ids_true()
    assert way.akool.emulator.stats().received["video"] == 4
    details = [
        event.detail or ""
        for row in rows
        for event in way.tools.ledger.attempts.history(way.attempt(row).id)
        if event.after is State.ACCEPTED
    ]
    assert len(details) == 4
    assert all("proved by its callback" in detail for detail in details)


def test_a_failed_video_in_doubt_is_told_as_failed(
    start: Callable[..., Way], rows_of: RowsOf
) -> None:
    way = start()
    rows = rows_of(plain_line("a", "[[video:failed 1205 create video error]]"))
    way.lose("POST */talkingavatar/create", next=1)
    way.walk(rows, Stage.VOICE, Stage.VIDEO, run_id="first")
    assert wait_for(way.is_settled)
    assert way.proved() >= 1
    assert way.attempt(rows[0]).state is State.ACCEPTED  # the callback alone fails nothing
    outcome = way.walk(rows, Stage.DOWNLOAD, run_id="later")[-1]
    assert (outcome.stage, outcome.code) == (Stage.DOWNLOAD, 1205)


@pytest.mark.parametrize(
    ("habits", "outcome"),
    [
        ({"wrong_signature": True}, "given_up"),
        ({"wrong_key": True}, "given_up"),
        ({"send": False}, None),
    ],
    ids=["wrong signature", "wrong key", "never"],
)
def test_without_a_genuine_callback_nothing_settles_and_the_rest_goes_on(
    start: Callable[..., Way], rows_of: RowsOf, habits: dict[str, Any], outcome: str | None
) -> None:
    way = start(attempts=2, retry_seconds=1.0, **habits)
    rows = rows_of(*(plain_line(name) for name in "abc"))
    assert all(outcome.ok for outcome in way.walk(rows, Stage.VOICE, run_id="voices"))
    way.lose("POST */talkingavatar/create", next=1)
    ends = way.walk(rows, Stage.VIDEO, Stage.DOWNLOAD, run_id="first")
    assert [end.trouble for end in ends if not end.ok] == [Trouble.DOUBT]
    assert len([end for end in ends if end.ok and end.stage is Stage.DOWNLOAD]) == 2

    if outcome:
        assert wait_for(lambda: way.webhooks().get(outcome, 0) == 6)  # 3 voices, 3 videos
    assert way.webhooks().get("delivered", 0) == 0
    assert way.in_doubt() == 1
    assert len([end for end in way.walk(rows, run_id="again") if not end.ok]) == 1
    assert way.akool.emulator.stats().received["video"] == 3


def test_a_bad_night_costs_each_video_once(start: Callable[..., Way], rows_of: RowsOf) -> None:
    way = start(status_2=True, copies=2, reorder=True)
    rows = rows_of(*(plain_line(f"r{number}") for number in range(12)))
    way.lose("POST */voice/tts", probability=0.4)
    way.lose("POST */talkingavatar/create", probability=0.4)
    for number in range(3):
        way.walk(rows, run_id=f"run-{number}")
        assert wait_for(way.is_settled)
    assert way.proved() > 4
    assert all(outcome.ok for outcome in way.walk(rows, run_id="last"))
    assert way.are_ids_true()
    stats = way.akool.emulator.stats()
    assert stats.received == {"voice": 12, "video": 12}
    assert sum(way.tools.storage.video_path(row.key).exists() for row in rows) == 12


# -- the command ---------------------------------------------------------------------------------

COMMAND = [sys.executable, "-u", "-c", "from akool_dagster.cli import main; main()", "webhook"]


def environment(tmp_path: Path) -> dict[str, str]:
    return {
        "AKOOL_CLIENT_ID": LOGIN.client_id, "AKOOL_CLIENT_SECRET": LOGIN.client_secret,
        "AKOOL_DATA": str(tmp_path), "AKOOL_BASE_URL": "http://127.0.0.1:1",
    }  # fmt: skip


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_real_process_takes_callbacks_and_stops_cleanly(
    tmp_path: Path, ledger: Ledger, number: signal.Signals
) -> None:
    attempt = doubted(ledger)
    with subprocess.Popen(
        [*COMMAND, "--port", "0"], env=os.environ | environment(tmp_path), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        try:
            assert process.stdout is not None
            lines = [process.stdout.readline() for _ in range(2)]
            (root,) = re.findall(r"AKOOL_WEBHOOK_URL=(\S+)", "".join(lines))
            assert post(root, attempt, sealed()) == 200
        finally:
            process.send_signal(number)
            rest, errors = process.communicate(timeout=20)
    assert process.returncode == 0
    assert rest.endswith("Stopped.\n")
    assert errors.count("\n") == 1
    assert "proved" in errors
    assert ledger.attempts.get(attempt.id).state is State.ACCEPTED
    told = "".join(lines) + rest + errors
    assert not {LOGIN.client_secret, attempt.webhook_token} & set(re.split(r"[\s/]", told))


@pytest.mark.parametrize(
    ("changes", "options", "words"),
    [
        ({"AKOOL_CLIENT_ID": ""}, [], ["AKOOL_CLIENT_ID must be set"]),
        ({"AKOOL_CLIENT_SECRET": ""}, [], ["AKOOL_CLIENT_SECRET must be set"]),
        ({"AKOOL_CLIENT_ID": "", "AKOOL_CLIENT_SECRET": ""}, [],
         ["AKOOL_CLIENT_ID and AKOOL_CLIENT_SECRET must be set"]),
        ({"AKOOL_CLIENT_SECRET": "UniqueWord"}, [], ["AKOOL_CLIENT_SECRET", "16, 24 or 32"]),
        ({"AKOOL_CLIENT_SECRET": "Unique Word" * 3}, [], ["AKOOL_CLIENT_SECRET", "blanks"]),
        ({}, ["--host", "192.0.2.1"], ["Cannot listen on 192.0.2.1 port 8791", "--port"]),
        ({"AKOOL_LEDGER": "sqlite:////"}, [], ["cannot be opened", "AKOOL_LEDGER"]),
    ],
    ids=["no id", "no secret", "neither", "short", "blanks", "address", "ledger"],
)  # fmt: skip
def test_what_it_cannot_start_with_is_explained(
    tmp_path: Path, changes: dict[str, str], options: list[str], words: list[str]
) -> None:
    env = environment(tmp_path) | changes
    done = CliRunner().invoke(main, ["webhook", *options], env=env)
    assert done.exit_code == 2, done.output
    assert [word for word in words if word not in done.stderr] == []
    assert "Unique" not in done.stderr
    assert done.stdout == ""


def test_the_server_does_without_dagster() -> None:
    code = (
        "import sys, akool_dagster.webhook_server, akool_dagster.cli.webhook;"
        "print('dagster' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
