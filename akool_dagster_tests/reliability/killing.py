"""Kills real processes at every boundary, starts the work again, and looks at what came of it."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import requests

from akool_dagster.akool import ClientLogin
from akool_dagster.batch.outcomes import Outcome, Trouble
from akool_dagster.batch.stages import STAGES
from akool_dagster.batch.walk import Walk
from akool_dagster.emulator import EmulatorConfig, RenderTimes, RunningEmulator
from akool_dagster.emulator.webhooks import seal
from akool_dagster.ledger import Attempt, Effect, Kind, Ledger, Limits, State
from akool_dagster.manifest import read_manifest
from akool_dagster.media import UnplayableMedia, probe
from akool_dagster_tests.reliability.killed_process import Death
from akool_dagster_tests.reliability.over_http import webhooks_on
from akool_dagster_tests.support import opened_tools, plain_line, write_manifest

QUICKEST = EmulatorConfig(speed=1000.0, media="tiny", slots=100, times=RenderTimes(sigma=0.2))
"""Videos in a tenth of a second."""

PROGRAM = [sys.executable, "-m", "akool_dagster_tests.reliability.killed_process"]
_BOUNDARIES = {
    "reserve": ("before", "after"),
    "start_sending": ("before", "after"),
    "answer": ("before", "after"),
    "accept": ("before", "inside", "after"),
    "body": ("before", "inside", "after"),
    "fsync": ("before", "after"),
    "rename": ("before", "after"),
    "note": ("before", "after"),
    "save": ("before", "after"),
}
# From the intent to the answer written down: whoever dies here cannot know.
_DOUBTFUL = {
    ("start_sending", "after"), ("answer", "before"), ("answer", "after"),
    ("accept", "before"), ("accept", "inside"),
}  # fmt: skip
_VOICE, _VIDEO = 1, 2  # a row's first and second create, and its first and second file


@dataclass(frozen=True, kw_only=True)
class Killed:
    """What came of one kill.

    Attributes:
        name: Where it was.
        problems: Promises that were broken.
    """

    name: str
    problems: tuple[str, ...]


def deaths_of_a_walk(akool: RunningEmulator, folder: Path) -> list[Death]:
    """Every boundary of the way of a create and of a download, for a voice and for a video.

    Args:
        akool: The emulator.
        folder: Each gets a data root in it, with a manifest of one row.

    Returns:
        The deaths.
    """
    deaths = []
    for place, moments in _BOUNDARIES.items():
        for moment in moments:
            for call in (_VOICE, _VIDEO):
                data = folder / f"{place}-{moment}-{call}"
                write_manifest(data / "manifests", "m", plain_line("a", f"{data.name}."))
                deaths.append(
                    Death(
                        place=place, moment=moment, call=call, data=str(data),  # type: ignore[arg-type]
                        base_url=akool.url, login=("", akool.api_key),
                    )
                )  # fmt: skip
    return deaths


def kill(deaths: Sequence[Death]) -> list[dict]:
    """Has the deaths died, one process each.

    Args:
        deaths: Of walks.

    Returns:
        What the program told of each.
    """
    plan = json.dumps([asdict(death) for death in deaths])
    done = subprocess.run(
        PROGRAM, input=plan, capture_output=True, text=True, check=False, timeout=170
    )
    if done.returncode:
        raise RuntimeError(done.stderr)
    return [json.loads(line) for line in done.stdout.splitlines()]


def look_after(akool: RunningEmulator, death: Death) -> Killed:
    """Looks at what a killed walk left, walks on until the end, and looks again.

    Args:
        akool: The emulator.
        death: The death that was died.

    Returns:
        What came of it.
    """
    problems = _half_files(Path(death.data))
    with opened_tools(akool, Path(death.data)) as tools:
        rows = list(read_manifest(Path(death.data) / "manifests" / "m.csv").rows())

        def walk(run_id: str) -> list[Outcome]:
            return list(Walk(tools, run_id=run_id).outcomes(rows, stages=STAGES))

        ends = walk("restarted")
        kind = Kind.VOICE if death.call == _VOICE else Kind.VIDEO
        is_doubtful = (death.place, death.moment) in _DOUBTFUL
        if is_doubtful != (ends[-1].trouble is Trouble.DOUBT):
            problems.append(f"ended with {ends[-1].report!r}")
        if is_doubtful:
            _settle_by_hand(akool, tools.ledger, kind, Path(death.data).name)
            ends = walk("settled")
        if not all(end.ok for end in ends):
            problems.append(f"did not come to its end: {ends[-1].report!r}")
        attempts = [
            attempt
            for each in (Kind.VOICE, Kind.VIDEO)
            for attempt in tools.ledger.attempts.in_states(kind=each, states=list(State))
        ]
    problems += _half_files(Path(death.data)) + _paid_twice(akool, Path(death.data).name, attempts)
    return Killed(name=death.name, problems=tuple(problems))


def look_after_all(akool: RunningEmulator, deaths: Sequence[Death]) -> list[Killed]:
    """Looks after many deaths at once.

    Args:
        akool: The emulator.
        deaths: The deaths.

    Returns:
        What came of each.
    """
    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(lambda death: look_after(akool, death), deaths))


def _settle_by_hand(akool: RunningEmulator, ledger: Ledger, kind: Kind, name: str) -> None:
    """A person looks at AKOOL's site and tells whether it took the create."""
    (attempt,) = ledger.attempts.in_states(kind=kind, states=[State.IN_DOUBT])
    jobs = _jobs(akool, name)[kind]
    if jobs:
        ledger.attempts.accept(attempt.id, remote_id=jobs[0], next_look_at=0.0)
    else:
        ledger.attempts.refuse(attempt.id, code=None, reason="-", advice=None, try_again=True)


def _jobs(akool: RunningEmulator, name: str) -> dict[Kind, list[str]]:
    """The ids of AKOOL's jobs for the row of a data root."""
    voices = [j.id for j in akool.emulator.jobs("voice") if f"{name}." in json.dumps(j.body)]
    videos = [
        job.id
        for job in akool.emulator.jobs("video")
        if any(voice in json.dumps(job.body) for voice in voices)
    ]
    return {Kind.VOICE: voices, Kind.VIDEO: videos}


def _paid_twice(akool: RunningEmulator, name: str, attempts: Sequence[Attempt]) -> list[str]:
    problems = []
    for kind, jobs in _jobs(akool, name).items():
        known = [a.remote_id for a in attempts if a.kind is kind and a.remote_id is not None]
        if len(jobs) != 1:
            problems.append(f"AKOOL took {len(jobs)} {kind.value}s")
        if known != jobs:
            problems.append(f"AKOOL's ids {jobs} are known as {known}")
    return problems


def _half_files(data: Path) -> list[str]:
    """Every file at its final path must be whole."""
    problems = []
    for path in sorted([*data.glob("voices/*/*"), *data.glob("videos/*/*")]):
        if path.name.startswith("."):
            continue
        try:
            probe(path)
        except (UnplayableMedia, OSError) as error:
            problems.append(f"{path.name} of {path.stat().st_size} bytes is a half file: {error}")
    return problems


# -- callbacks

LOGIN = ("EXAMPLE-client-id-24chr=", "EXAMPLE-secret-32-characters-xx=")
_REMOTE_ID = "0123456789abcdef01234567"
_CALLBACK_MOMENTS = ("before", "inside", "after")


def kill_webhook_servers(folder: Path) -> list[Killed]:
    """Kills servers while they take a callback; AKOOL, not answered, sends it again.

    Args:
        folder: For the ledgers.

    Returns:
        What came of each.
    """
    deaths = [
        Death(
            place="record", moment=moment, call=1, data=str(folder / moment), base_url="",
            login=LOGIN,
        )
        for moment in _CALLBACK_MOMENTS
    ]  # fmt: skip
    attempts = {death.moment: _doubted(Path(death.data)) for death in deaths}
    results = []
    with _program(deaths) as news:
        for death in deaths:
            attempt = attempts[death.moment]
            answered = _post(f"http://127.0.0.1:{next(news)['port']}", attempt)
            signalled = next(news)["signal"]
            problems = [] if answered is None else [f"was answered with {answered}"]
            if signalled != signal.SIGKILL:
                problems.append(f"ended by signal {signalled}")
            results.append(Killed(name=death.name, problems=(*problems, *_resend(death, attempt))))
    return results


def _resend(death: Death, attempt: Attempt) -> list[str]:
    problems = []
    with Ledger.open(_url(death), service="emulator") as ledger:
        state = ledger.attempts.get(attempt.id).state
        expected = State.ACCEPTED if death.moment == "after" else State.IN_DOUBT
        if state is not expected:
            problems.append(f"left the attempt {state.value}")
        with webhooks_on(ledger, ClientLogin(*LOGIN)) as root:
            answers = [_post(root, attempt) for _ in range(2)]
        if answers != [200, 200]:
            problems.append(f"sent again, it was answered with {answers}")
        now = ledger.attempts.get(attempt.id)
        if (now.state, now.remote_id) != (State.ACCEPTED, _REMOTE_ID):
            problems.append(f"in the end the attempt is {now.state.value} with id {now.remote_id}")
        moves = [event.after for event in ledger.attempts.history(attempt.id)]
        if moves.count(State.ACCEPTED) != 1:
            problems.append(f"its history is {moves}")
        if [news.effect for news in ledger.callbacks.of(attempt.id)] != [Effect.PROVED]:
            problems.append("the callback was not written down exactly once")
    return problems


def _doubted(data: Path) -> Attempt:
    data.mkdir(parents=True)
    with Ledger.open(f"sqlite:///{data}/ledger.sqlite", service="emulator") as ledger:
        book = ledger.attempts
        attempt = book.open_next(
            kind=Kind.VIDEO, content_hash="a", api="v4", after=0, media_seconds=1.0
        )
        book.reserve(attempt.id, price=1.0, limits=Limits(max_in_flight=1))
        book.start_sending(attempt.id)
        return book.doubt(attempt.id, reason="no answer", advice=None)


def _url(death: Death) -> str:
    return f"sqlite:///{death.data}/ledger.sqlite"


def _post(root: str, attempt: Attempt) -> int | None:
    payload = {"_id": _REMOTE_ID, "status": 3, "type": "avatar", "url": "http://media.test/v"}
    body = seal(
        json.dumps(payload).encode(),
        client_id=LOGIN[0],
        client_secret=LOGIN[1],
        timestamp=1,
        nonce="1",
    )
    try:
        answer = requests.post(f"{root}/akool/{attempt.webhook_token}", json=body, timeout=20)
    except requests.ConnectionError:
        return None
    return answer.status_code


@contextmanager
def _program(deaths: Sequence[Death]) -> Iterator[Iterator[dict]]:
    """Starts the program; gives what it tells, line by line."""
    with subprocess.Popen(
        PROGRAM, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(json.dumps([asdict(death) for death in deaths]))
            process.stdin.close()
            yield (json.loads(line) for line in process.stdout)
        finally:
            process.kill()
