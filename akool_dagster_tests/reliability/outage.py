"""A month on a virtual clock: two days without us, two without storage, and a week without help.

Every night a manifest is asked for; ``video_info_sensor``'s own functions look, plan and judge,
and the walk saves. The emulator's clock is the only clock there is.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from akool_dagster.akool import AkoolClient, ApiKey
from akool_dagster.automation.row_runs import RANGE_END_TAG, RANGE_START_TAG
from akool_dagster.automation.video_info import request_downloads
from akool_dagster.batch.alarms import dying_links, lost_videos
from akool_dagster.batch.catalogs.avatar_book import AvatarBook
from akool_dagster.batch.stages import Stage
from akool_dagster.batch.tools import Tools
from akool_dagster.batch.walk import Walk
from akool_dagster.batch.watching.looking import settle_due
from akool_dagster.downloads import Downloader
from akool_dagster.emulator import EmulatorConfig, RunningEmulator, serve
from akool_dagster.ledger import Kind, Ledger, Limits, State
from akool_dagster.manifest import ScriptRow, read_manifest
from akool_dagster.storage import open_storage
from akool_dagster_tests.support import plain_line, quick_rules, write_manifest

HOUR, DAY = 3600.0, 86_400.0
START = 1_800_057_600.0  # midnight UTC
ALARM_SECONDS = 48 * HOUR
DAYS = 30
_TICK_SECONDS = 60.0  # of the sensor, at the most

# From and to, in days.
_MACHINE_OFF = (3.0, 5.0)
_STORAGE_GONE = (10.0, 12.0)
_NOBODY_HELPS = (17.0, 22.7)  # the disk is repaired half a day after the first alarm is due


@dataclass(kw_only=True)
class Month:
    """What came of a month.

    Attributes:
        seed: Of the emulator.
        rows: Videos asked for.
        saved: Videos on the storage.
        lost: Videos whose links died unsaved.
        alarmed: Videos for which the alarm was raised.
        least_notice_hours: Life that the shortest of their links had left at its first alarm.
        ticks: Ticks of the sensor.
        problems: Promises that were broken.
    """

    seed: int
    rows: int = 0
    saved: int = 0
    lost: int = 0
    alarmed: int = 0
    least_notice_hours: float = float("inf")
    ticks: int = 0
    problems: list[str] = field(default_factory=list)


def live_through_a_month(folder: Path, *, rows_a_night: int, pause: float, seed: int) -> Month:
    """Lives through the month.

    Args:
        folder: For the data root and the ledger.
        rows_a_night: Videos asked for each night.
        pause: Virtual seconds between two ticks while no alarm is near; then they are a minute.
        seed: Of the emulator.

    Returns:
        What came of it.
    """
    config = EmulatorConfig(seed=seed, speed=0.001, start=START, media="tiny", slots=50)
    with serve(config) as akool, _tools(akool, folder) as tools:
        return _Life(akool, tools, folder, rows_a_night=rows_a_night, seed=seed).live(pause)


@contextlib.contextmanager
def _tools(akool: RunningEmulator, folder: Path) -> Iterator[Tools]:
    clock = akool.emulator.clock.now
    with (
        AkoolClient(ApiKey(akool.api_key), base_url=akool.url) as client,
        Ledger.open(
            f"sqlite:///{folder / 'ledger.sqlite'}", service="emulator", clock=clock
        ) as ledger,
        Downloader() as downloader,
    ):
        yield Tools(
            client=client,
            ledger=ledger,
            storage=open_storage(str(folder)),
            downloader=downloader,
            avatars=AvatarBook(saved={}, fetch=client.list_avatars),
            rules=quick_rules(poll_seconds=10.0, limits=Limits(max_in_flight=1000)),
            clock=clock,
        )


class _Life:
    def __init__(
        self, akool: RunningEmulator, tools: Tools, folder: Path, *, rows_a_night: int, seed: int
    ) -> None:
        self._akool, self._tools, self._folder = akool, tools, folder
        self._rows_a_night = rows_a_night
        self._month = Month(seed=seed)
        self._rows: dict[str, ScriptRow] = {}
        self._nights = 0
        self._notice: dict[int, float] = {}
        self._videos = folder / "videos"

    @property
    def _day(self) -> float:
        return (self._akool.emulator.clock.now() - START) / DAY

    def live(self, pause: float) -> Month:
        while self._day < DAYS + 1:
            self._break_or_repair_the_storage()
            if not _is_in(self._day, _MACHINE_OFF):
                self._ask_tonight()
                self._tick()
            self._akool.emulator.clock.advance(self._until_next(pause))
        return self._judged()

    def _break_or_repair_the_storage(self) -> None:
        away = self._videos.with_name("videos.away")
        is_gone = any(_is_in(self._day, span) for span in (_STORAGE_GONE, _NOBODY_HELPS))
        if is_gone and not away.exists():
            self._videos.rename(away)
            self._videos.write_bytes(b"a file where a folder is needed")
        if not is_gone and away.exists():
            self._videos.unlink()
            away.rename(self._videos)

    def _ask_tonight(self) -> None:
        """Asks for the manifest of each night that has come; two hours after midnight."""
        while self._nights < min(DAYS, self._day - 2 / 24):
            name = f"n{self._nights:02}"
            lines = [plain_line(f"r{number}", name) for number in range(self._rows_a_night)]
            path = write_manifest(self._folder / "manifests", name, *lines)
            rows = list(read_manifest(path).rows())
            self._rows.update({row.key: row for row in rows})
            self._nights += 1
            self._walk(rows, Stage.VOICE, Stage.VIDEO)

    def _walk(self, rows: list[ScriptRow], *stages: Stage) -> None:
        walk = Walk(
            self._tools,
            run_id=f"run-{self._day}",
            sleep=lambda seconds: void(self._akool.emulator.clock.advance(seconds)),
        )
        for _ in walk.outcomes(rows, stages=stages):
            pass

    def _tick(self) -> None:
        """What ``video_info_sensor`` does, and the runs that it asks for."""
        tools, ledger = self._tools, self._tools.ledger
        self._month.ticks += 1
        for kind in (Kind.VIDEO, Kind.VOICE):
            settle_due(tools, kind=kind, limit=10_000, until=float("inf"))
        keys = list(self._rows)
        requests = request_downloads(
            ledger.deliveries,
            wanted={key: row.video_hash for key, row in self._rows.items()},
            all_keys=keys,
            busy=(),
            longest=100,
            now=tools.clock(),
        )
        for request in list(requests):
            first, last = request.tags[RANGE_START_TAG], request.tags[RANGE_END_TAG]
            chosen = keys[keys.index(first) : keys.index(last) + 1]
            self._walk([self._rows[key] for key in chosen], Stage.DOWNLOAD)
        for concern in dying_links(ledger, now=tools.clock()):
            left = self._true_life(concern.attempt.remote_id)
            self._notice.setdefault(concern.attempt.id, left)

    def _true_life(self, remote_id: str | None) -> float:
        """What AKOOL knows and we do not: how long a link will still live."""
        job = self._akool.emulator.book.get(remote_id or "")
        assert job is not None
        return job.ended + self._akool.emulator.config.link_life - self._tools.clock()

    def _until_next(self, pause: float) -> float:
        """The sensor ticks every minute; where nothing can happen, some ticks are left out."""
        now = self._tools.clock()
        unsaved = self._tools.ledger.attempts.in_states(kind=Kind.VIDEO, states=[State.COMPLETED])
        lives = [(attempt.url_expires_at or 0.0) - now for attempt in unsaved]
        for attempt in unsaved:
            if self._true_life(attempt.remote_id) < ALARM_SECONDS:
                self._require_notice(attempt.id)
        is_near = any(0 < life - ALARM_SECONDS < pause + 600 for life in lives)
        return _TICK_SECONDS if is_near else pause

    def _require_notice(self, attempt_id: int) -> None:
        notice = self._notice.get(attempt_id, 0.0)
        if notice < ALARM_SECONDS:
            self._month.problems.append(
                f"attempt {attempt_id} has less than 48 hours to live, and was told of with "
                f"{notice / HOUR:.2f} hours left (replay: seed {self._month.seed})"
            )

    def _judged(self) -> Month:
        month, ledger = self._month, self._tools.ledger
        month.rows = len(self._rows)
        month.saved = sum(self._tools.storage.video_path(key).exists() for key in self._rows)
        month.lost = len(lost_videos(ledger))
        month.alarmed = len(self._notice)
        if self._notice:
            month.least_notice_hours = min(self._notice.values()) / HOUR
        if month.saved != month.rows or month.lost:
            month.problems.append(f"{month.saved} of {month.rows} videos saved, {month.lost} lost")
        if not self._notice:
            month.problems.append("the alarm was never raised, though nobody helped for days")
        return month


def void(_: object) -> None:
    """Takes a value and gives none."""


def _is_in(day: float, span: tuple[float, float]) -> bool:
    return span[0] <= day < span[1]
