"""A tick of ``video_info_sensor`` with more open attempts than it can look at."""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from akool_dagster.akool import Audio, Status, Video
from akool_dagster.automation import video_info as sensor
from akool_dagster.batch.tools import Rules, Tools
from akool_dagster.ledger import Kind, Ledger
from akool_dagster.ledger.tables import attempts

OPEN_VIDEOS, OPEN_VOICES = 10_000, 20
TICK_SECONDS, LOOKS_PER_SECOND = 1.0, 100.0


class SlowAkool:
    """Answers each status call after 50 ms: still at work."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.at_once = self.most_at_once = 0
        self._lock = threading.Lock()

    def get_video_info(self, video_id: str) -> Video:
        return cast(Video, self._answer(video_id))

    def get_audio(self, audio_id: str, *, api: str) -> Audio:
        return cast(Audio, self._answer(audio_id))

    def _answer(self, remote_id: str) -> object:
        with self._lock:
            self.calls[remote_id] += 1
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        time.sleep(0.05)
        with self._lock:
            self.at_once -= 1
        return _AtWork()


class _AtWork:
    status = Status.PROCESSING


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(f"sqlite:///{tmp_path / 'ledger.sqlite'}", service="akool.test") as opened:
        yield opened


def open_attempts(ledger: Ledger, kind: Kind, count: int, *, due_since: float) -> list[str]:
    """Writes accepted attempts; the first has been due for the longest, the last not long."""
    now = time.time()
    names = [f"{kind.value}-{number}" for number in range(count)]
    rows = [
        {
            "service": "akool.test", "kind": kind.value, "content_hash": name, "number": 1,
            "state": "accepted", "api": "v4", "webhook_token": name, "remote_id": name,
            "try_again": False, "planned_at": now - due_since, "answered_at": now - due_since,
            "looks": 3, "next_look_at": now - due_since * (1 - number / count) - 0.1,
        }
        for number, name in enumerate(names)
    ]  # fmt: skip
    database = cast(Any, ledger)._database
    with database.writing() as connection:
        connection.execute(attempts.insert(), rows)
    return names


def test_ticks_with_ten_thousand_open_attempts_end_in_time_and_starve_nobody(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    videos = open_attempts(ledger, Kind.VIDEO, OPEN_VIDEOS, due_since=7200.0)
    voices = open_attempts(ledger, Kind.VOICE, OPEN_VOICES, due_since=60.0)
    monkeypatch.setattr(sensor, "TICK_SECONDS", TICK_SECONDS)
    monkeypatch.setattr(sensor, "LOOKS_PER_SECOND", LOOKS_PER_SECOND)
    akool = SlowAkool()
    absent = cast(Any, None)
    tools = Tools(
        client=cast(Any, akool),
        ledger=ledger,
        storage=absent,
        downloader=absent,
        avatars=absent,
        rules=Rules(poll_seconds=3600.0),
    )
    seen: list[set[str]] = []
    for _ in range(3):
        began, before = time.monotonic(), set(akool.calls)
        sensor._settle(tools)
        # Of the 60 s that Dagster gives a tick, 30 are for looks: what is left over must suffice.
        assert time.monotonic() - began < TICK_SECONDS + 2.0
        seen.append(set(akool.calls) - before)

    assert akool.calls.total() <= 3 * TICK_SECONDS * LOOKS_PER_SECOND
    assert all(len(tick) > 0.5 * TICK_SECONDS * LOOKS_PER_SECOND for tick in seen)
    # The voices have their turn at once, though 10,000 videos have waited longer.
    assert set(voices) <= seen[0]
    # Each tick goes on where the one before stopped: the longest due first, nobody twice.
    assert set(akool.calls.values()) == {1}
    looked_at = [name for name in videos if name in akool.calls]
    assert looked_at == videos[: len(looked_at)]


def test_many_due_voices_leave_the_videos_their_share(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_attempts(ledger, Kind.VOICE, 2_000, due_since=7200.0)
    videos = open_attempts(ledger, Kind.VIDEO, 20, due_since=60.0)
    monkeypatch.setattr(sensor, "TICK_SECONDS", TICK_SECONDS)
    monkeypatch.setattr(sensor, "LOOKS_PER_SECOND", LOOKS_PER_SECOND)
    akool = SlowAkool()
    absent = cast(Any, None)
    tools = Tools(
        client=cast(Any, akool), ledger=ledger, storage=absent, downloader=absent,
        avatars=absent, rules=Rules(poll_seconds=3600.0),
    )  # fmt: skip
    sensor._settle(tools)
    assert set(videos) <= set(akool.calls)
