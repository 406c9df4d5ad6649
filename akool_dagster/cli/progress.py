"""Progress bars that read the ledger while a run is under way."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from akool_dagster.batch.row_status import RowStatus
from akool_dagster.batch.standing import Standing

_SECONDS = 0.5
_SHARE = 10  # reading may take a tenth of the time: ten thousand rows are not looked up in a blink

_ENDED = frozenset({Standing.REFUSED, Standing.FAILED, Standing.EXPIRED, Standing.IN_DOUBT})


@contextlib.contextmanager
def progress_bars(read: Callable[[], Sequence[RowStatus]], *, console: Console) -> Iterator[None]:
    """Shows how far a batch is for as long as the block lasts.

    Args:
        read: Looks the rows up.
        console: Where to show it.

    Yields:
        Nothing; the work is done inside the block.
    """
    columns = (
        TextColumn("{task.description:<18}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    over = threading.Event()
    with Progress(*columns, console=console) as progress:
        bars = _Bars(progress)
        bars.update(read())
        watcher = threading.Thread(target=_watch, args=(bars, read, over), daemon=True)
        watcher.start()
        try:
            yield
        finally:
            over.set()
            watcher.join()
            bars.update(read())


class _Bars:
    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._voices = progress.add_task("Voices saved")
        self._requests = progress.add_task("Videos accepted")
        self._videos = progress.add_task("Videos saved")
        self._failed = progress.add_task("Not made", visible=False)

    def update(self, rows: Sequence[RowStatus]) -> None:
        total = len(rows)
        failed = sum(row.standing in _ENDED for row in rows)
        done = {
            self._voices: sum(_has_voice(row) for row in rows),
            self._requests: sum(_is_accepted(row) for row in rows),
            self._videos: sum(row.standing is Standing.SAVED for row in rows),
            self._failed: failed,
        }
        for task, count in done.items():
            self._progress.update(task, completed=count, total=total)
        self._progress.update(self._failed, visible=failed > 0)


def _has_voice(row: RowStatus) -> bool:
    return row.voice_file is not None and row.voice_file.saved_at is not None


def _is_accepted(row: RowStatus) -> bool:
    """Tells whether AKOOL took the video; one that it failed later was accepted nevertheless."""
    video = row.video
    return video is not None and video.remote_id is not None and video.pay_again_at is None


def _watch(bars: _Bars, read: Callable[[], Sequence[RowStatus]], over: threading.Event) -> None:
    pause = _SECONDS
    while not over.wait(pause):
        began = time.monotonic()
        bars.update(read())
        pause = max(_SECONDS, _SHARE * (time.monotonic() - began))
