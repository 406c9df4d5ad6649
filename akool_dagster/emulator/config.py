"""Everything about an emulator that a person or a test may choose."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any, Literal, get_args

from akool_dagster.emulator.faults import Fault

ListShape = Literal["array", "result"]
DetailShape = Literal["array", "object"]
FailureField = Literal["error_reason", "faceswap_fail_reason", "none"]
MediaMode = Literal["full", "tiny"]
UnreachableMedia = Literal["refuse", "fail"]
KeyErrorCode = Literal[1101, 1109]

MOST_SKEW = 10 * 365 * 86_400.0  # seconds; beyond, a Date header may have no year to name

EMULATOR_KEY = "emulator-key"
EMULATOR_CLIENT_ID = "emulator-client-id-24-ch"
EMULATOR_CLIENT_SECRET = "emulator-secret-of-32-characters"  # noqa: S105 (not a credential)


@dataclass(frozen=True, kw_only=True)
class RenderTimes:
    """How long AKOOL works on a job, in virtual seconds.

    A job takes a log-normally distributed time, drawn from a generator that is seeded with the
    emulator's seed and the job's content, plus a share that grows with the length of the speech.

    Attributes:
        video: Mean of a video's basic render time.
        video_per_second: Further render seconds for each second of speech.
        queueing: Seconds between a free slot and ``video_status`` 2.
        voice: Mean time of one text-to-speech job (AKOOL's samples show about 13 s).
        cloned_voice: Mean time of a v4 voice clone (AKOOL's sample shows 34 s).
        avatar: Mean time of an avatar upload.
        sigma: Spread: the sigma of the log-normal distribution; 0 makes every job take its mean.
    """

    video: float = 60.0
    video_per_second: float = 2.0
    queueing: float = 1.0
    voice: float = 8.0
    cloned_voice: float = 34.0
    avatar: float = 90.0
    sigma: float = 0.4

    def __post_init__(self) -> None:
        """Refuses times that run backwards or never end.

        Raises:
            ValueError: Naming the field, its value and what is allowed.
        """
        _require_amounts(self)


@dataclass(frozen=True, kw_only=True)
class Prices:
    """What the emulator charges, in credits.

    AKOOL publishes the price of speech (voiceLab page, "Pro Max" 3.2 per 1,000 characters) but not
    that of an avatar video; its samples lock one credit per second.

    Attributes:
        video_second: Credits for a second of finished video, rounded up per video.
        thousand_characters: Credits for 1,000 characters of speech.
    """

    video_second: float = 1.0
    thousand_characters: float = 3.2

    def __post_init__(self) -> None:
        """Refuses prices below 0.

        Raises:
            ValueError: Naming the field, its value and what is allowed.
        """
        _require_amounts(self)


@dataclass(frozen=True, kw_only=True)
class Shapes:
    """Which of AKOOL's documented and observed answer forms the emulator uses.

    Attributes:
        lists: ``avatar/list`` answers ``data`` as an ``array`` (documented) or as ``{result,
            count, page, size}`` (``result``, as AKOOL's own demo reads it).
        details: ``avatar/detail`` and ``avatar/create`` answer a one-element ``array``
            (documented) or an ``object`` (AKOOL's own demo).
        failure: Where a failed video tells its reason, or ``none``.
        late_video_polls: The first polls at ``video_status`` 3 that still have an empty ``video``.
        blank_polls: The first polls of a new video that answer without usable ``data``.
        blank_poll_code: The code of those polls: 1000 (with empty data), 1008 or 1014.
    """

    lists: ListShape = "result"
    details: DetailShape = "object"
    failure: FailureField = "error_reason"
    late_video_polls: int = 0
    blank_polls: int = 0
    blank_poll_code: int = 1000

    def __post_init__(self) -> None:
        """Refuses unknown forms.

        Raises:
            ValueError: Naming the field, its value and what is allowed.
        """
        _require_one(self, "lists", ListShape)
        _require_one(self, "details", DetailShape)
        _require_one(self, "failure", FailureField)
        for name in ("late_video_polls", "blank_polls"):
            _require(getattr(self, name) >= 0, name, getattr(self, name), "0 or more")


@dataclass(frozen=True, kw_only=True)
class WebhookHabits:
    """How the emulator calls a job's ``webhookUrl`` (docs: webhook page).

    Attributes:
        send: Whether callbacks are sent at all.
        status_2: Also send a callback when the work begins.
        copies: How often each callback is sent, even when it was answered with HTTP 200.
        reorder: Send the callback of the beginning after the one of the end (implies
            ``status_2``), and callbacks of different jobs in a shuffled order.
        wrong_signature: Sign with something else.
        wrong_key: Encrypt with a secret that is not the account's.
        number_nonce: Send ``nonce`` as a number instead of a string.
        before_answer: A video is finished, and its callback sent, before its create is answered.
        translation_fields: Name the fields as AKOOL's translation receiver does
            (``video_status``, ``video``) instead of ``status`` and ``url``.
        attempts: How often a callback that is not answered with HTTP 200 is sent in all.
        retry_seconds: Virtual seconds before the second attempt; each further one waits twice
            as long.
        timeout: Real seconds that a receiver has to answer.
        late: Virtual seconds that each callback comes after its event.
        lost: Share of the callbacks that are never sent, 0 to 1; each of the ``copies`` is drawn
            by itself.
        forged: With each callback comes a forgery: it tells the opposite of the truth, is
            signed well, since AKOOL's signature covers no secret, but encrypted with a secret
            that is not the account's. It is sent once, whatever the answer.
    """

    send: bool = True
    status_2: bool = False
    copies: int = 1
    reorder: bool = False
    wrong_signature: bool = False
    wrong_key: bool = False
    number_nonce: bool = False
    before_answer: bool = False
    translation_fields: bool = False
    attempts: int = 5
    retry_seconds: float = 15.0
    timeout: float = 10.0
    late: float = 0.0
    lost: float = 0.0
    forged: bool = False

    def __post_init__(self) -> None:
        """Refuses impossible habits.

        Raises:
            ValueError: Naming the field, its value and what is allowed.
        """
        _require(self.copies >= 1, "copies", self.copies, "1 or more; send = false sends none")
        _require(self.attempts >= 1, "attempts", self.attempts, "1 or more")
        _require(self.retry_seconds >= 0, "retry_seconds", self.retry_seconds, "0 or more")
        _require(self.timeout > 0, "timeout", self.timeout, "a number above 0")
        _require(0 <= self.late < math.inf, "late", self.late, "0 or more seconds")
        _require(0 <= self.lost <= 1, "lost", self.lost, "a share from 0 to 1")


@dataclass(frozen=True, kw_only=True)
class EmulatorConfig:
    """One emulated AKOOL account and its habits.

    All times are virtual seconds unless said otherwise: an emulator at speed 60 lives through a
    minute in each real second.

    Attributes:
        seed: Decides every drawn number: render times, ids, faults.
        speed: Virtual seconds per real second.
        start: Virtual time at the start, in epoch seconds; the real time by default. The first
            8 digits of every ``_id`` tell it.
        clock_skew: Seconds by which the account's clock goes wrong wherever it is told: the
            ``Date`` header, ``create_time``, ``update_time`` and the time of callbacks.
        times: How long jobs take.
        prices: What jobs cost.
        shapes: Which answer forms are used.
        webhooks: How callbacks are sent.
        faults: Faults that are armed from the start.
        credits: The account's balance at the start.
        slots: Videos rendered at once; the excess waits in ``video_status`` 1.
        failing_renders: Share of the accepted videos that end in status 4 with code 1205, 0 to 1.
        refuse_beyond_slots: Refuse the excess with code 1005 instead of letting it wait.
        requests_per_second: Requests per virtual second beyond which code 1005 is answered.
        text_limit: Characters of one text; AKOOL's plans have 5,000, 10,000 and 50,000.
        link_life: How long the link of a result lives; AKOOL's live 7 days.
        dead_link_status: HTTP status of a dead link (AKOOL's is not documented).
        token_life: How long a token of ``getToken`` is valid; AKOOL's sample spans 3,600 days.
        strict_sizes: ``talkingavatar/create`` takes 3840x2160 only, as documented.
        accept_unknown_ids: Take any avatar and voice id, to rehearse a manifest written for the
            real catalogs; by default an unknown id is refused with 1014.
        unreachable_media: What happens to a video whose audio link cannot be fetched: ``refuse``
            answers the create with 1015, ``fail`` accepts it and ends it in status 4.
        fetch_any_host: Fetch pictures and audio from other hosts too. By default only links
            to this machine (loopback) are fetched and all others count as unreachable.
        real_http_statuses: Answer errors with HTTP 401, 403, 429 or 500 besides the code;
            AKOOL mostly answers HTTP 200.
        api_keys: Accepted in ``x-api-key``; the client secrets are accepted as well, because
            AKOOL's API key is the former client secret.
        clients: Accepted pairs of client id and client secret; callbacks are signed and
            encrypted with the first.
        key_error_code: Answer to an unknown key or token: 1101, or 1109 as seen by AKOOL's demo.
        banned: Every call is answered with 1200.
        media: ``full`` makes real speech and video; ``tiny`` serves one short file for all
            jobs and fetches nothing, for load tests.
        official_avatars: How many official avatars the catalog has.
        state_dir: Folder in which the account and its jobs survive a restart.
    """

    seed: int = 0
    speed: float = 1.0
    start: float | None = None
    clock_skew: float = 0.0
    times: RenderTimes = field(default_factory=RenderTimes)
    prices: Prices = field(default_factory=Prices)
    shapes: Shapes = field(default_factory=Shapes)
    webhooks: WebhookHabits = field(default_factory=WebhookHabits)
    faults: tuple[Fault, ...] = ()
    credits: float = 100_000.0
    slots: int = 4
    failing_renders: float = 0.0
    refuse_beyond_slots: bool = False
    requests_per_second: float | None = None
    text_limit: int = 10_000
    link_life: float = 7 * 86_400.0
    dead_link_status: int = 403
    token_life: float = 3_600 * 86_400.0
    strict_sizes: bool = True
    accept_unknown_ids: bool = False
    unreachable_media: UnreachableMedia = "refuse"
    fetch_any_host: bool = False
    real_http_statuses: bool = False
    api_keys: tuple[str, ...] = (EMULATOR_KEY,)
    clients: tuple[tuple[str, str], ...] = ((EMULATOR_CLIENT_ID, EMULATOR_CLIENT_SECRET),)
    key_error_code: KeyErrorCode = 1101
    banned: bool = False
    media: MediaMode = "full"
    official_avatars: int = 24
    state_dir: str | None = None

    def __post_init__(self) -> None:
        """Refuses values with which no emulator can run.

        Raises:
            ValueError: Naming the field, its value and what is allowed.
        """
        _require(0 < self.speed < math.inf, "speed", self.speed, "a number above 0")
        skew, share = self.clock_skew, self.failing_renders
        _require(abs(skew) <= MOST_SKEW, "clock_skew", skew, f"within {MOST_SKEW:.0f} s of 0")
        _require(0 <= share <= 1, "failing_renders", share, "a share from 0 to 1")
        _require(self.slots >= 1, "slots", self.slots, "a whole number of 1 or more")
        _require(self.official_avatars >= 1, "official_avatars", self.official_avatars, "1 or more")
        _require(self.text_limit >= 1, "text_limit", self.text_limit, "1 or more")
        _require(math.isfinite(self.credits), "credits", self.credits, "a number")
        limit = self.requests_per_second
        _require(limit is None or limit > 0, "requests_per_second", limit, "above 0, or None")
        _require(self.link_life > 0, "link_life", self.link_life, "above 0")
        _require(self.token_life > 0, "token_life", self.token_life, "above 0")
        _require(bool(self.clients), "clients", self.clients, "at least one (id, secret) pair")
        _require_one(self, "key_error_code", KeyErrorCode)
        _require_one(self, "media", MediaMode)
        _require_one(self, "unreachable_media", UnreachableMedia)
        for _, secret in self.clients:
            _require(
                len(secret.encode()) in (16, 24, 32),
                "clients",
                secret,
                "client secrets of 16, 24 or 32 bytes, because they are AES keys",
            )


def changed(config: EmulatorConfig, changes: Mapping[str, Any]) -> EmulatorConfig:
    """A configuration with some fields changed.

    Args:
        config: Stays as it is.
        changes: By field; for ``times``, ``prices``, ``shapes`` and ``webhooks`` also a mapping
            with some of their fields.

    Raises:
        ValueError: For an unknown field or a bad value.
    """
    known = {item.name for item in fields(config)}
    unknown = set(changes) - known
    if unknown:
        raise ValueError(f"No such setting: {sorted(unknown)}; there are {sorted(known)}.")
    return replace(config, **{name: _nested(config, name, changes[name]) for name in changes})


def _nested(config: EmulatorConfig, name: str, value: Any) -> Any:
    present = getattr(config, name)
    if isinstance(value, Mapping) and is_dataclass(present) and not isinstance(present, type):
        try:
            return replace(present, **value)
        except TypeError as error:
            raise ValueError(f"{name}: {error}") from error
    return value


def _require(holds: bool, name: str, value: object, allowed: str) -> None:
    if not holds:
        raise ValueError(f"{name} is {value!r}; it must be {allowed}.")


def _require_amounts(config: RenderTimes | Prices) -> None:
    for item in fields(config):
        value = getattr(config, item.name)
        _require(0 <= value < math.inf, item.name, value, "a number of 0 or more")


def _require_one(config: object, name: str, choices: object) -> None:
    value, allowed = getattr(config, name), get_args(choices)
    _require(value in allowed, name, value, f"one of {allowed}")
