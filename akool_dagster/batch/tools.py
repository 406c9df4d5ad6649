"""The things that every step of a batch works with."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from akool_dagster.akool import AkoolClient
from akool_dagster.batch.catalogs.avatar_book import AvatarBook
from akool_dagster.batch.catalogs.voice_book import VoiceBook
from akool_dagster.batch.pace import Pace
from akool_dagster.batch.prices import PriceBook
from akool_dagster.batch.stages.sample_book import SampleBook
from akool_dagster.batch.watching.forecast import Outlooks
from akool_dagster.downloads import Downloader
from akool_dagster.ledger import Ledger, Limits
from akool_dagster.settings import AvatarNotReady, UnlistedIds, VideoApi, VoiceApi
from akool_dagster.storage import Storage

LINK_LIFE_SECONDS = 7 * 24 * 3600.0
"""AKOOL keeps each generated file for 7 days (docs: every result page)."""


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What a deployment decided; see the fields of the same names in ``Settings``.

    Attributes:
        video_api: Which create call makes videos.
        voice_api: Which generation of voices speaks.
        limits: What a reservation must respect.
        webhook_url: Public root of the webhook server, None for polling only.
        poll_seconds: Pause between a create and the first look at its status.
        render_deadline_seconds: How long a run waits for one video.
        avatar_not_ready: What a row does whose own avatar AKOOL still works on.
        unlisted_ids: What a row does whose voice or avatar AKOOL lists nowhere.
    """

    video_api: VideoApi = "talkingavatar"
    voice_api: VoiceApi = "v4"
    limits: Limits = field(default_factory=lambda: Limits(max_in_flight=10))
    webhook_url: str | None = None
    poll_seconds: float = 10.0
    render_deadline_seconds: float = 6 * 3600.0
    avatar_not_ready: AvatarNotReady = "wait"
    unlisted_ids: UnlistedIds = "refuse"


@dataclass(frozen=True, kw_only=True)
class Tools:
    """Everything that a step of a batch needs, handed in so that tests can choose it.

    Attributes:
        client: Talks to AKOOL.
        ledger: Knows what was asked and what came of it.
        storage: Holds the files.
        downloader: Fetches finished files.
        avatars: Knows AKOOL's avatars.
        voices: Knows AKOOL's voices; None to send each voice_id as it is.
        rules: What the deployment decided.
        samples: Knows the files behind links to voice samples.
        prices: What creates cost so far.
        pace: Slows all creates down when AKOOL says "too frequent".
        outlooks: Foretells when jobs finish.
        clock: Gives the time in seconds since 1970 UTC.
        sleep: Waits for seconds.
        randomness: Spreads waiting times.
    """

    client: AkoolClient
    ledger: Ledger
    storage: Storage
    downloader: Downloader
    avatars: AvatarBook
    rules: Rules
    voices: VoiceBook | None = None
    samples: SampleBook = field(default_factory=SampleBook)
    prices: PriceBook = field(default_factory=PriceBook)
    pace: Pace = field(default_factory=Pace)
    outlooks: Outlooks = field(default_factory=Outlooks)
    clock: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep
    randomness: random.Random = field(default_factory=random.Random)
