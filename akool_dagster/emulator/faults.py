"""Faults: what the network and AKOOL's gateways do on a bad night.

A fault is written in one line, for the command line and the admin endpoint::

    KIND[,on=PATTERN][,when=before|after][,probability=P][,next=N][,seconds=S][,status=N]

    drop          the connection is closed without an answer
    reset         the connection is reset (TCP RST) without an answer
    cut           half of the answer is sent, then the connection is closed
    truncate      HTTP 200 with a JSON body that stops in the middle
    long-length   the whole body, but ``Content-Length`` promises one byte more; the connection
                  is closed ``seconds`` later
    short-length  the whole body, but ``Content-Length`` promises half of it; the rest spills
                  into the connection
    drip          the body comes byte by byte over ``seconds`` (in larger drops beyond 100 bytes
                  per second)
    delay         the answer comes ``seconds`` late; a time-out, when the client waits for less
    status        an HTTP status (``status``, 500 by default) with a JSON body
    gateway       an HTTP status (``status``, 502 by default) with a gateway's HTML page
    busy          HTTP 429 with ``Retry-After: seconds``

All seconds are real ones. ``on`` is a shell pattern over ``METHOD /path``, for example
``POST */talkingavatar/create`` or, for downloads, ``GET /media/*``. ``when=before`` hits before
the emulator has done anything: a job is not made, or, with ``delay``, made late; a body that is
sent then says ``2001``. ``when=after`` (the default) hits when everything is done.

A fault with ``next=N`` hits the next N requests and is then spent; otherwise each request is hit
with ``probability``. That is drawn from the seed, the fault's position among all that were armed,
the request's content and how often this content came before, so the same requests are hit in each
replay, in whatever order they come. ``next`` depends on that order.
"""

import math
import threading
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Literal, get_args

from akool_dagster.emulator.ids import seeded

FaultKind = Literal[
    "drop",
    "reset",
    "cut",
    "truncate",
    "long-length",
    "short-length",
    "drip",
    "delay",
    "status",
    "gateway",
    "busy",
]
Moment = Literal["before", "after"]

_OPTIONS = {"on", "when", "probability", "next", "seconds", "status"}


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One kind of trouble and the requests that it hits.

    Attributes:
        kind: What happens; see the module's table.
        on: Shell pattern over ``METHOD /path``.
        when: Whether it hits before or after the emulator has carried the request out.
        probability: Share of the matching requests that are hit, 0 to 1.
        next: Hit so many matching requests and then no more; None means without end.
        seconds: Real seconds of a ``delay``, a ``drip`` or until a ``long-length`` closes; the
            ``Retry-After`` of a ``busy``.
        status: HTTP status of ``status`` and ``gateway``; 0 means 500 and 502.
    """

    kind: FaultKind
    on: str = "*"
    when: Moment = "after"
    probability: float = 1.0
    next: int | None = None
    seconds: float = 1.0
    status: int = 0

    def __post_init__(self) -> None:
        """Checks the values.

        Raises:
            ValueError: Naming the field, its value and what is allowed.
        """
        if self.kind not in get_args(FaultKind):
            raise ValueError(f"Fault kind {self.kind!r} is none of {get_args(FaultKind)}.")
        if self.when not in get_args(Moment):
            raise ValueError(f"Fault.when is {self.when!r}; it must be 'before' or 'after'.")
        if not 0 <= self.probability <= 1:
            raise ValueError(f"Fault.probability is {self.probability}; it must be 0 to 1.")
        if self.next is not None and self.next < 1:
            raise ValueError(f"Fault.next is {self.next}; it must be 1 or more, or None.")
        if not 0 <= self.seconds < math.inf:
            raise ValueError(f"Fault.seconds is {self.seconds}; it must be 0 or more.")
        if self.status and not 400 <= self.status <= 599:
            raise ValueError(f"Fault.status is {self.status}; it must be 400 to 599.")

    @property
    def http_status(self) -> int:
        """The HTTP status of a ``status`` or ``gateway`` fault."""
        return self.status or (502 if self.kind == "gateway" else 500)


def parse_fault(line: str) -> Fault:
    """Reads a fault written as ``KIND,name=value,...``.

    Raises:
        ValueError: Naming the part that cannot be read.
    """
    kind, *parts = (part.strip() for part in line.split(","))
    options: dict[str, Any] = {}
    for part in parts:
        name, sign, value = part.partition("=")
        if not sign or name not in _OPTIONS:
            raise ValueError(
                f"Fault {line!r}: {part!r} is not name=value with a name of {sorted(_OPTIONS)}."
            )
        options[name] = _value(line, name, value)
    return Fault(kind=kind, **options)  # type: ignore[arg-type]


def _value(line: str, name: str, value: str) -> Any:
    if name in ("on", "when"):
        return value
    try:
        return float(value) if name in ("probability", "seconds") else int(value)
    except ValueError:
        raise ValueError(f"Fault {line!r}: {name}={value!r} is not a number.") from None


@dataclass
class _Armed:
    fault: Fault
    position: int
    hits: int = 0
    seen: Counter[str] = field(default_factory=Counter)

    @property
    def spent(self) -> bool:
        return self.fault.next is not None and self.hits >= self.fault.next


class FaultPlan:
    """The armed faults, in order; the first that hits a request decides.

    Safe to use from several threads.

    Args:
        seed: Decides which requests a fault with a probability hits.
        faults: Armed from the start.
    """

    def __init__(self, *, seed: int, faults: Iterable[Fault] = ()) -> None:
        self._seed = seed
        self._lock = threading.Lock()
        self._armed: list[_Armed] = []
        self._count = 0
        for fault in faults:
            self.add(fault)

    def add(self, fault: Fault) -> Fault:
        """Arms a fault, behind those that are armed already."""
        with self._lock:
            self._armed.append(_Armed(fault, self._count))
            self._count += 1
        return fault

    def clear(self) -> None:
        """Disarms all faults."""
        with self._lock:
            self._armed.clear()

    @property
    def armed(self) -> bool:
        """Whether there is any fault, spent or not."""
        return bool(self._armed)

    def pick(self, endpoint: str, *, content: str) -> Fault | None:
        """The fault that hits this request, if any, and counts the hit.

        Args:
            endpoint: ``METHOD /path``.
            content: What the request is, the same in each replay.
        """
        with self._lock:
            # Each fault draws for each request, or the order of requests would decide the draws
            # of those behind a fault with ``next``.
            hits = [armed for armed in self._armed if self._aims_at(armed, endpoint, content)]
            if not hits:
                return None
            hits[0].hits += 1
            return hits[0].fault

    def listing(self) -> list[dict[str, Any]]:
        """The armed faults with their number of hits, as JSON values."""
        with self._lock:
            return [asdict(a.fault) | {"hits": a.hits, "spent": a.spent} for a in self._armed]

    def _aims_at(self, armed: _Armed, endpoint: str, content: str) -> bool:
        fault = armed.fault
        if armed.spent or not fnmatchcase(endpoint, fault.on):
            return False
        if fault.probability == 1:
            return True
        armed.seen[content] += 1
        draw = seeded(self._seed, "fault", armed.position, content, armed.seen[content])
        return draw.random() < fault.probability
