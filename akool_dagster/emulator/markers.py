"""Rehearsal markers: words in a script, an avatar id or a link that make a job go wrong.

Grammar, one or more anywhere in a text, an avatar id or a link::

    [[WHAT:OUTCOME]]        WHAT     video | voice | avatar | clone
    [[WHAT:OUTCOME xN]]     only the first N creates that carry this very marker and text

    OUTCOME
        1003                the create is refused with this code
        failed              accepted, ends in status 4, no reason given
        failed 1205 words   accepted, ends in status 4 with this code and these words as reason
        stuck               accepted, never ends
        slow 600            accepted, takes 600 virtual seconds longer
        lost                accepted, but the connection is dropped instead of answering

A marker is neither spoken nor shown.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal
from urllib.parse import unquote

Target = Literal["video", "voice", "avatar", "clone"]

_MARKER = re.compile(r"\[\[\s*(video|voice|avatar|clone)\s*:([^\[\]]*)\]\]", re.IGNORECASE)
_FIRST_ONLY = re.compile(r"^(.*?)\s+x(\d+)$", re.DOTALL)
_OUTCOME = re.compile(
    r"^(?:(?P<refused>\d{4})|(?P<failed>failed)(?:\s+(?P<code>\d{4})(?:\s+(?P<reason>.+))?)?"
    r"|(?P<stuck>stuck)|slow\s+(?P<slow>\d+(?:\.\d+)?)|(?P<lost>lost))$",
    re.IGNORECASE | re.DOTALL,
)
_SPACES = re.compile(r"[ \t]{2,}")


class MarkerError(ValueError):
    """A marker that begins like one but has no known outcome."""


@dataclass(frozen=True, kw_only=True)
class Marker:
    """One parsed marker.

    Attributes:
        target: The kind of job that it is meant for.
        text: The marker as written, for messages and counting.
        refuse_code: The create is refused with this code.
        fails: The job ends in status 4.
        code: The failed job's ``error_code``.
        reason: The failed job's ``error_reason``.
        stuck: The job never ends.
        extra_seconds: Virtual seconds that the job takes longer.
        lost: The create is carried out but not answered.
        first: The marker holds for the first so many creates only; 0 means for all.
    """

    target: Target
    text: str
    refuse_code: int | None = None
    fails: bool = False
    code: int | None = None
    reason: str = ""
    stuck: bool = False
    extra_seconds: float = 0.0
    lost: bool = False
    first: int = 0


def find_markers(texts: Iterable[str]) -> list[Marker]:
    """All markers in some texts, in order.

    Args:
        texts: Script texts, ids or links; links may be percent-encoded.

    Raises:
        MarkerError: When a marker's outcome is not one of the grammar.
    """
    return [_parse(match) for text in texts for match in _MARKER.finditer(_readable(text)) if match]


def without_markers(text: str) -> str:
    """The text as it is spoken and shown, with no marker in it."""
    return _SPACES.sub(" ", _MARKER.sub(" ", text)).strip()


def _readable(text: str) -> str:
    return unquote(text) if "%" in text else text


def _parse(match: re.Match[str]) -> Marker:
    words = match.group(2).strip()
    first_only = _FIRST_ONLY.match(words)
    first = int(first_only.group(2)) if first_only else 0
    outcome = _OUTCOME.match(first_only.group(1).strip() if first_only else words)
    if outcome is None:
        raise MarkerError(
            f"The rehearsal marker {match.group(0)!r} has no known outcome; write a code such as "
            "1003, failed, failed 1205 reason, stuck, slow 600 or lost."
        )
    target: Target = match.group(1).lower()  # type: ignore[assignment]
    return Marker(
        target=target,
        text=match.group(0),
        refuse_code=int(outcome["refused"]) if outcome["refused"] else None,
        fails=bool(outcome["failed"]),
        code=int(outcome["code"]) if outcome["code"] else None,
        reason=(outcome["reason"] or "").strip(),
        stuck=bool(outcome["stuck"]),
        extra_seconds=float(outcome["slow"] or 0),
        lost=bool(outcome["lost"]),
        first=first,
    )
