"""The pace of creates: AKOOL answers 1005 when they come too frequently."""

import threading

_FIRST_PAUSE_SECONDS = 1.0
_LONGEST_PAUSE_SECONDS = 60.0


class Pace:
    """A pause between creates, shared by all rows of a process.

    It doubles with each "too frequent" and shrinks with each create that gets through. AKOOL
    publishes no number (docs: error-code page names only code 1005), so it has to be learned.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pause = 0.0
        self._next_at = 0.0

    @property
    def pause_seconds(self) -> float:
        """The pause between two creates at present."""
        return self._pause

    def take_turn(self, now: float) -> float | None:
        """Asks for a turn to send.

        Args:
            now: The time.

        Returns:
            None when the caller may send now, else when to ask again.
        """
        with self._lock:
            if now < self._next_at:
                return self._next_at
            self._next_at = now + self._pause
            return None

    def too_frequent(self, now: float) -> None:
        """Slows down.

        Args:
            now: The time.
        """
        with self._lock:
            doubled = max(_FIRST_PAUSE_SECONDS, self._pause * 2)
            self._pause = min(_LONGEST_PAUSE_SECONDS, doubled)
            self._next_at = now + self._pause

    def went_through(self) -> None:
        """Speeds up a little."""
        with self._lock:
            self._pause = 0.0 if self._pause < 0.1 else self._pause * 0.7
