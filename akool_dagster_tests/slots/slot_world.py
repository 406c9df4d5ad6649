"""A batch on AKOOL's slots, in virtual time: the real walk, the real ledger, an AKOOL of numbers.

Only what lies beyond the network is simulated: AKOOL itself and the download of a finished file.
How long each video renders is drawn from a log-normal distribution before anything begins, so that
all ways of watching are compared on the same videos.
"""

import math
import os
import random
import tempfile
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from heapq import heapreplace
from pathlib import Path
from typing import Any, Literal, cast

import sqlalchemy as sa
from sqlalchemy import event
from upath import UPath

from akool_dagster.akool import Status, TooFrequent, Video, VideoRequest
from akool_dagster.batch.stages import STAGES
from akool_dagster.batch.tools import Rules, Tools
from akool_dagster.batch.walk import Walk
from akool_dagster.downloads import SavedFile
from akool_dagster.ledger import Ledger, Limits
from akool_dagster.ledger.database import Database, open_engine
from akool_dagster.manifest import ScriptRow
from akool_dagster.media import MediaInfo
from akool_dagster.storage import open_storage
from akool_dagster_tests.slots.virtual_time import START, VirtualExecutor, VirtualTime

MEAN_RENDER_SECONDS = 180.0
SIGMA = 0.5
"""Of the logarithm of the render seconds: half take 113 to 222 s, 1 in 100 over 508 s."""

_MEAN_SPEECH_SECONDS, _SPEECH_SIGMA = 40.0, 0.4

_CREATE_SECONDS, _STATUS_SECONDS, _SAVE_SECONDS = 0.5, 0.3, 5.0
_CALLBACK_SECONDS = 0.5
_PRICE = 10.0


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One batch.

    Attributes:
        rows: How many videos.
        slots: How many AKOOL renders at once.
        beyond: What AKOOL does with a create while all slots are busy.
        ours: AKOOL_MAX_IN_FLIGHT, as a multiple of ``slots``.
        webhooks: Whether AKOOL calls back.
        lost_callbacks: Share of the callbacks that never come.
        by_speech: Whether render times follow the length of the speech, apart from a spread of
            0.3; else the length tells nothing about them.
        walks: How many runs share the rows and the ledger.
        seed: Decides every drawn number.
    """

    rows: int
    slots: int
    beyond: Literal["queues", "refuses"] = "queues"
    ours: int = 1
    webhooks: bool = False
    lost_callbacks: float = 0.0
    by_speech: bool = False
    walks: int = 1
    seed: int = 1


@dataclass(kw_only=True)
class Findings:
    """What was counted.

    Attributes:
        utilisation: Share of the slots' time that AKOOL rendered, from the first create until no
            row was left to be sent.
        status_calls: Per video, on average.
        most_status_calls: For the video that needed the most.
        calls_after_end: Status calls for a video after one had said that it was finished.
        refused: Creates that AKOOL refused as too frequent.
        saved: Rows that got through all stages.
        hours: From the first create to the last file.
        least_hours: What the same videos in the same order take on the same slots when each slot
            is refilled at once.
        timeline: Share of the slots that were busy, for each hundredth of the time until no row
            was left to be sent.
    """

    utilisation: float
    status_calls: float
    most_status_calls: int
    calls_after_end: int
    refused: int
    saved: int
    hours: float
    least_hours: float
    timeline: Sequence[float]


@dataclass
class _Render:
    """A video at AKOOL."""

    id: str
    token: str
    seconds: float
    is_over: bool = False
    is_told: bool = False


@dataclass
class _Busy:
    """How many slots were busy when."""

    changes: list[tuple[float, int]] = field(default_factory=list)

    def share(self, *, slots: int, since: float, until: float) -> float:
        """Share of the slots' time that was busy."""
        total, at, busy = 0.0, since, 0
        for when, count in [*self.changes, (until, 0)]:
            upto = min(max(when, since), until)
            total, at, busy = total + busy * (upto - at), upto, count
        return total / (slots * (until - since)) if until > since else 1.0


class SimulatedAkool:
    """AKOOL and the links to its files, as the client and the downloader see them."""

    def __init__(self, time: VirtualTime, setting: Setting) -> None:
        self._time, self._setting = time, setting
        self._random = random.Random(setting.seed + 1)
        self._renders: dict[str, _Render] = {}
        self._queue: deque[_Render] = deque()
        self._in_work = 0
        self.videos = draw_videos(setting)
        self.callbacks: Any = None
        self.busy = _Busy()
        self.accepted_at: list[float] = []
        self.status_calls: Counter[str] = Counter()
        self.calls_after_end = 0
        self.refused = 0

    # -- as the client

    def create_video(self, request: VideoRequest, *, api: str) -> Video:
        self._time.sleep(_CREATE_SECONDS / 2)
        if self._setting.beyond == "refuses" and self._in_work >= self._setting.slots:
            self.refused += 1
            self._time.sleep(_CREATE_SECONDS / 2)
            raise TooFrequent("slow", endpoint=api, code=1005, msg="Frequent operation")
        number = int(request.audio_url.rpartition("/")[2])
        render = _Render(
            id=f"{number:024x}",
            token=(request.webhook_url or "").rpartition("/")[2],
            seconds=self.videos[number][1],
        )
        self._renders[render.id] = render
        self.accepted_at.append(self._time.now)
        self._queue.append(render)
        self._fill_slots()
        self._time.sleep(_CREATE_SECONDS / 2)
        return self._picture(render)

    def get_video_info(self, video_id: str) -> Video:
        render = self._renders[video_id]
        self.status_calls[video_id] += 1
        self.calls_after_end += render.is_told
        self._time.sleep(_STATUS_SECONDS / 2)
        picture = self._picture(render)
        render.is_told = render.is_over
        self._time.sleep(_STATUS_SECONDS / 2)
        return picture

    def _picture(self, render: _Render) -> Video:
        return Video(
            id=render.id,
            status=Status.COMPLETED if render.is_over else Status.PROCESSING,
            url=f"http://media.test/{render.id}.mp4" if render.is_over else None,
            failure=None,
            locked_credits=_PRICE,
            deducted_credits=_PRICE if render.is_over else None,
            created_at=None,
            raw={"_id": render.id},
        )

    # -- as the downloader

    def fetch(self, url: str, target: Any, *, storage: object, expect: str) -> SavedFile:
        if expect == "video":
            self._time.sleep(_SAVE_SECONDS)
            speech, _ = self.videos[int(Path(url).stem, 16)]
            return _file(target, kind="video", seconds=speech)
        speech, _ = self.videos[int(url.rpartition("/")[2])]
        return _file(target("mp3"), kind="audio", seconds=speech)

    # -- what happens by itself

    def _fill_slots(self) -> None:
        while self._queue and self._in_work < self._setting.slots:
            render = self._queue.popleft()
            self._in_work += 1
            self._time.call_at(self._time.now + render.seconds, lambda r=render: self._end(r))
        self.busy.changes.append((self._time.now, self._in_work))

    def _end(self, render: _Render) -> None:
        render.is_over = True
        self._in_work -= 1
        self._fill_slots()
        if render.token and self._random.random() >= self._setting.lost_callbacks:
            delay = 2 * _CALLBACK_SECONDS * self._random.random()
            self._time.call_at(self._time.now + delay, lambda: self._call_back(render))

    def _call_back(self, render: _Render) -> None:
        self.callbacks.record(
            token=render.token,
            remote_id=render.id,
            status=Status.COMPLETED.value,
            body_sha256="0" * 64,
        )


def _file(path: UPath, *, kind: Literal["video", "audio"], seconds: float) -> SavedFile:
    """Installs a file of one byte, of which nobody can take a picture."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"0")
    media = MediaInfo(
        kind=kind,
        duration_seconds=seconds,
        width=None,
        height=None,
        video_codec=None,
        audio_codec=None,
        size_bytes=1,
    )
    return SavedFile(path=path, sha256="0" * 64, size_bytes=1, media=media, resumed_bytes=0)


def draw_videos(setting: Setting) -> list[tuple[float, float]]:
    """Draws the videos.

    Args:
        setting: Of the batch.

    Returns:
        Seconds of speech and of rendering, one pair per row.
    """
    dice = random.Random(setting.seed)
    videos = []
    for _ in range(setting.rows):
        speech = dice.gauss(0.0, 1.0)
        if setting.by_speech:
            own = math.sqrt(SIGMA**2 - _SPEECH_SIGMA**2)
            log = _SPEECH_SIGMA * speech + own * dice.gauss(0.0, 1.0)
        else:
            log = SIGMA * dice.gauss(0.0, 1.0)
        videos.append(
            (
                _MEAN_SPEECH_SECONDS * math.exp(_SPEECH_SIGMA * speech - _SPEECH_SIGMA**2 / 2),
                MEAN_RENDER_SECONDS * math.exp(log - SIGMA**2 / 2),
            )
        )
    return videos


def simulate(setting: Setting, *, folder: str | None = None) -> Findings:
    """Makes a batch.

    Args:
        setting: Which.
        folder: Where its files are, until it is over; by default wherever they are quick.

    Returns:
        What was counted.
    """
    time = VirtualTime()
    akool = SimulatedAkool(time, setting)
    rows = [script_row(number) for number in range(setting.rows)]
    saved = Counter[str]()
    with _quick_database(folder or quick_folder()) as (engine, place):
        akool.callbacks = _ledger(engine, time, actor="hooks").callbacks
        runs = []
        for number in range(setting.walks):
            tools = _tools(akool, engine, place, time, setting, number=number)
            mine = rows[number :: setting.walks]
            runs.append(time.spawn(lambda t=tools, m=mine, n=number: _walk(time, t, m, n, saved)))
        time.run(*runs)
    return _findings(akool, setting, saved=saved["ok"], until=time.now)


def _walk(
    time: VirtualTime, tools: Tools, rows: Sequence[ScriptRow], number: int, saved: Counter[str]
) -> None:
    executor = VirtualExecutor(time)
    walk = Walk(
        tools, run_id=f"run-{number}", executor=executor, sleep=time.sleep, wait=executor.wait
    )
    for outcome in walk.outcomes(rows, stages=STAGES):
        saved["ok"] += outcome.ok and outcome.stage is STAGES[-1]


def _findings(akool: SimulatedAkool, setting: Setting, *, saved: int, until: float) -> Findings:
    first, last = akool.accepted_at[0], akool.accepted_at[-1]
    step = (last - first) / 100
    slots = setting.slots
    return Findings(
        utilisation=akool.busy.share(slots=slots, since=first, until=last),
        status_calls=akool.status_calls.total() / setting.rows,
        most_status_calls=max(akool.status_calls.values()),
        calls_after_end=akool.calls_after_end,
        refused=akool.refused,
        saved=saved,
        hours=(until - START) / 3600,
        least_hours=_least_seconds([render for _, render in akool.videos], slots=slots) / 3600,
        timeline=[
            akool.busy.share(slots=slots, since=first + i * step, until=first + (i + 1) * step)
            for i in range(100)
        ],
    )


def _least_seconds(renders: Sequence[float], *, slots: int) -> float:
    free_at = [0.0] * slots
    for seconds in renders:
        heapreplace(free_at, free_at[0] + seconds)
    return max(free_at)


def quick_folder() -> str:
    """A folder in memory, where there is one."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else tempfile.gettempdir()


@contextmanager
def _quick_database(within: str) -> Iterator[tuple[sa.Engine, Path]]:
    """A ledger whose commits are real but not waited for on a disk."""
    with tempfile.TemporaryDirectory(dir=within, prefix="akool-slots-") as folder:
        engine = open_engine(f"sqlite:///{folder}/ledger.sqlite")
        engine.dispose()  # the connections from now on do not sync
        event.listen(engine, "connect", _do_not_sync)
        try:
            yield engine, Path(folder)
        finally:
            engine.dispose()


def _do_not_sync(connection: Any, _record: object) -> None:
    connection.execute("PRAGMA synchronous=OFF")


def _ledger(engine: sa.Engine, time: VirtualTime, *, actor: str) -> Ledger:
    return Ledger(Database(engine=engine, service="akool.test", clock=time.clock, actor=actor))


def _tools(
    akool: SimulatedAkool,
    engine: sa.Engine,
    folder: Path,
    time: VirtualTime,
    setting: Setting,
    *,
    number: int,
) -> Tools:
    return Tools(
        client=cast(Any, akool),
        ledger=_ledger(engine, time, actor=f"walk-{number}"),
        storage=open_storage(str(folder)),
        downloader=cast(Any, akool),
        avatars=cast(Any, None),
        rules=Rules(
            limits=Limits(max_in_flight=setting.ours * setting.slots),
            webhook_url="http://hooks.test" if setting.webhooks else None,
        ),
        clock=time.clock,
        sleep=time.sleep,
        randomness=random.Random(setting.seed + 2 + number),
    )


def script_row(number: int) -> ScriptRow:
    """A row whose speech exists, so that nothing but the video is asked for."""
    values: Mapping[str, Any] = dict.fromkeys(ScriptRow.__dataclass_fields__)
    return ScriptRow(
        **{
            **values,
            "manifest": "m",
            "script_id": f"r{number}",
            "key": f"m.r{number}",
            "line": number + 2,
            "voice_url": f"http://voices.test/{number}",
            "avatar_url": "http://avatars.test/jane.png",
            "extra": {},
            "voice_hash": f"{number:064x}",
            "video_hash": f"{number:064x}",
        }
    )
