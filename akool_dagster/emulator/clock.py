"""The emulator's own time, which can run fast and be moved forward by hand."""

import threading
import time
from collections.abc import Callable


class VirtualClock:
    """Tells virtual epoch seconds: ``start + real seconds since then * speed + advances``.

    Safe to use from several threads.

    Args:
        start: Virtual time now; the real time by default.
        speed: Virtual seconds per real second, above 0.
        monotonic: Source of real seconds.
    """

    def __init__(
        self,
        *,
        start: float | None = None,
        speed: float = 1.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._monotonic = monotonic
        self._origin = monotonic()
        self._offset = time.time() if start is None else start
        self._lock = threading.Lock()
        self._watchers: list[Callable[[], None]] = []
        self.speed = speed

    def now(self) -> float:
        """The virtual time, in epoch seconds."""
        return self._offset + (self._monotonic() - self._origin) * self.speed

    def advance(self, seconds: float) -> float:
        """Moves the time forward at once.

        Args:
            seconds: Virtual seconds, 0 or more.

        Returns:
            The virtual time afterwards.

        Raises:
            ValueError: When ``seconds`` is negative: time only goes forward.
        """
        if seconds < 0:
            raise ValueError(f"advance({seconds}) would turn the clock back; give 0 or more.")
        with self._lock:
            self._offset += seconds
        for watcher in self._watchers:
            watcher()
        return self.now()

    def watch(self, watcher: Callable[[], None]) -> None:
        """Has ``watcher`` called after each ``advance``, in the advancing thread."""
        self._watchers.append(watcher)

    def real_seconds_until(self, moment: float) -> float:
        """Real seconds until the virtual ``moment``; 0 when it has passed."""
        return max(0.0, (moment - self.now()) / self.speed)
