"""AKOOL's open API, one method for each thing that batch videos need."""

import logging
import random as random_numbers
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

from akool_dagster.akool import parsing, payloads
from akool_dagster.akool.calls import QUOTA_PATH, Calls, free_request, paid_request
from akool_dagster.akool.credentials import Credential
from akool_dagster.akool.errors import ItemRefused
from akool_dagster.akool.models import (
    Audio,
    Avatar,
    AvatarKind,
    AvatarSource,
    AvatarUpload,
    ClonedSpeechRequest,
    DeletedVoices,
    SpeechRequest,
    Video,
    VideoRequest,
    Voice,
    VoiceCloneRequest,
)
from akool_dagster.akool.paging import all_items, unique
from akool_dagster.akool.transport import Request, Timeouts
from akool_dagster.settings import AKOOL_BASE_URL, VideoApi, VoiceApi

AVATAR_LIST_PATH = "/api/open/v3/avatar/list"
AVATAR_DETAIL_PATH = "/api/open/v3/avatar/detail"
AVATAR_CREATE_PATH = "/api/open/v3/avatar/create"
VOICE_LIST_V3_PATH = "/api/open/v3/voice/list"
VOICE_LIST_V4_PATH = "/api/open/v4/voice/list"
VOICE_DETAIL_PATH = "/api/open/v4/voice/detail"
VOICE_CLONE_PATH = "/api/open/v4/voice/clone"
VOICE_DELETE_PATH = "/api/open/v4/voice/del"
SPEECH_V3_PATH = "/api/open/v3/audio/create"
SPEECH_V4_PATH = "/api/open/v4/voice/tts"
CLONED_SPEECH_PATH = "/api/open/v3/audio/clone"
AUDIO_V3_PATH = "/api/open/v3/audio/infobymodelid"
AUDIO_V4_PATH = "/api/open/v4/voice/resource/detail"
TALKING_AVATAR_PATH = "/api/open/v3/talkingavatar/create"
CREATE_VIDEO_PATH = "/api/open/v3/avatar/createVideo"
VIDEO_INFO_PATH = "/api/open/v3/content/video/infobymodelid"

_SPEECH = {
    "v3": (SPEECH_V3_PATH, payloads.speech_v3),
    "v4": (SPEECH_V4_PATH, payloads.speech_v4),
}
_VIDEO = {
    "talkingavatar": (TALKING_AVATAR_PATH, payloads.talking_avatar),
    "avatar": (CREATE_VIDEO_PATH, payloads.create_video),
}

_Request = TypeVar("_Request")
_log = logging.getLogger("akool_dagster.akool")


class AkoolClient:
    """A client of AKOOL; share one between threads, and close it or use it in ``with``.

    Reads are repeated within ``timeouts.total_seconds``. Creates, marked **paid**, are sent at
    most once and never followed by a second one in here: what to do after an error is the
    caller's decision, for which each error has its class.

    Args:
        credential: Who is calling.
        base_url: Root of the API, ``http`` or ``https``.
        timeouts: How long a call may take.
        pool_size: Reads at once, on connections that are kept open; further threads wait for
            their turn. Creates have connections of their own and do not wait.
        clock: Seconds that only grow; bounds the repeats of reads. Sockets follow the real time.
        sleep: Waits for some seconds.
        random: A number from 0 up to 1, for the spread of pauses.

    Raises:
        ValueError: ``base_url`` is not an address, or holds a user name or a query;
            ``pool_size`` is below 1.

    Example:
        ```python
        with AkoolClient(ApiKey(key)) as akool:
            print(akool.balance())
        ```
    """

    def __init__(
        self,
        credential: Credential,
        *,
        base_url: str = AKOOL_BASE_URL,
        timeouts: Timeouts | None = None,
        pool_size: int = 16,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        random: Callable[[], float] = random_numbers.random,
    ):
        if pool_size < 1:
            raise ValueError(f"pool_size is {pool_size}; give 1 or more.")
        self._base_url = _checked_base_url(base_url)
        self._calls = Calls(
            credential,
            base_url=self._base_url,
            timeouts=timeouts or Timeouts(),
            pool_size=pool_size,
            clock=clock,
            sleep=sleep,
            random=random,
        )

    def __repr__(self) -> str:
        return f"AkoolClient(base_url={self._base_url!r})"

    def __enter__(self) -> "AkoolClient":
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections that are kept open."""
        self._calls.close()

    def balance(self) -> float:
        """Credits left on the account.

        Raises:
            AkoolError: See ``AkoolClient``.
        """
        return self._calls.read(QUOTA_PATH, parsing.credit)

    def list_avatars(
        self,
        *,
        source: AvatarSource | None = None,
        kind: AvatarKind | None = AvatarKind.TALKING,
    ) -> list[Avatar]:
        """Every avatar of the account, AKOOL's own and the user's.

        Args:
            source: Only those from there. None: all.
            kind: Only those made for it. None: all.

        Returns:
            In AKOOL's order, each ``avatar_id`` once. Those of the user's own may be unfinished:
            see ``Avatar.is_usable``.

        Raises:
            AkoolError: A page could not be read.
        """
        query = {"from": source, "type": kind}
        items = self._all_items(AVATAR_LIST_PATH, query, key="avatar_id")
        avatars = parsing.avatars(items, source=source)
        _report_dropped(len(items) - len(avatars), path=AVATAR_LIST_PATH, key="avatar_id")
        return avatars

    def avatar_detail(self, record_id: str) -> Avatar:
        """Look at an avatar, for instance while an upload is being worked on.

        Args:
            record_id: ``Avatar.record_id``.

        Raises:
            NotFound: There is none.
            NotReady: AKOOL has no data about it yet.
            AkoolError: See ``AkoolClient``.
        """
        return self._calls.read(AVATAR_DETAIL_PATH, parsing.avatar, params={"id": record_id})

    def list_voices(self, api: VoiceApi) -> list[Voice]:
        """Every voice, AKOOL's own and the user's.

        Args:
            api: Which generation of AKOOL's voices.

        Returns:
            In AKOOL's order, each ``voice_id`` once.

        Raises:
            AkoolError: A page could not be read.
        """
        if api == "v3":
            items = unique(self._calls.read(VOICE_LIST_V3_PATH, parsing.page).items, key="voice_id")
            return _voices(items, path=VOICE_LIST_V3_PATH, is_own=None)
        # docs: VoiceLab page, type 1 = cloned voices, 2 = AKOOL's
        official = self._all_items(VOICE_LIST_V4_PATH, {"type": 2}, key="voice_id")
        own = self._all_items(VOICE_LIST_V4_PATH, {"type": 1}, key="voice_id")
        return [
            *_voices(official, path=VOICE_LIST_V4_PATH, is_own=False),
            *_voices(own, path=VOICE_LIST_V4_PATH, is_own=True),
        ]

    def get_voice(self, record_id: str) -> Voice:
        """Look at a voice, for instance while a clone is being worked on.

        Args:
            record_id: ``Voice.record_id``.

        Raises:
            NotFound: There is none.
            NotReady: AKOOL has no data about it yet.
            AkoolError: See ``AkoolClient``.
        """
        return self._calls.read(f"{VOICE_DETAIL_PATH}/{quote(record_id, safe='')}", parsing.voice)

    def delete_voices(self, record_ids: Sequence[str]) -> DeletedVoices:
        """Delete cloned voices of the account (v4); to repeat it is harmless.

        Args:
            record_ids: ``Voice.record_id`` of each, at least one.

        Returns:
            Which are deleted. A repeated call is told that those deleted before are kept, as
            AKOOL knows them no longer: ``get_voice`` then says ``NotFound``.

        Raises:
            ValueError: No id is given.
            AkoolError: See ``AkoolClient``.
        """
        if not record_ids:
            raise ValueError("record_ids is empty; name at least one voice.")
        return self._calls.ask(
            free_request(VOICE_DELETE_PATH, {"_ids": list(record_ids)}),
            lambda data: parsing.deleted_voices(data, asked=record_ids),
        )

    def get_audio(self, audio_id: str, *, api: VoiceApi) -> Audio:
        """Look at a speech job.

        Args:
            audio_id: ``Audio.id``.
            api: The generation that it was created with; speech of a cloned sample is ``v3``.

        Raises:
            NotFound: AKOOL does not know it; allow a minute after the create.
            NotReady: AKOOL has no data about it yet.
            AkoolError: See ``AkoolClient``.
        """

        def parse(data: Any) -> Audio:
            return parsing.audio(data, audio_id=audio_id)

        if api == "v3":
            return self._calls.read(AUDIO_V3_PATH, parse, params={"audio_model_id": audio_id})
        return self._calls.read(f"{AUDIO_V4_PATH}/{quote(audio_id, safe='')}", parse)

    def get_video_info(self, video_id: str) -> Video:
        """Look at a video job, of either create call.

        Args:
            video_id: ``Video.id``.

        Returns:
            Its state. A failed job is returned, not raised, with ``Video.failure`` filled in.

        Raises:
            NotFound: AKOOL does not know it; allow a minute after the create.
            NotReady: AKOOL has no data about it yet.
            AkoolError: See ``AkoolClient``.
        """
        return self._calls.read(
            VIDEO_INFO_PATH,
            lambda data: parsing.video(data, video_id=video_id),
            params={"video_model_id": video_id},
        )

    def create_speech(self, request: SpeechRequest, *, api: VoiceApi) -> Audio:
        """**Paid.** Have a text spoken by a voice of the catalog.

        Args:
            request: What to say.
            api: The generation of the voice.

        Returns:
            The job; its status is ``QUEUED`` where AKOOL's answer does not name one.

        Raises:
            NotSent, OutcomeUnknown, Refused: See their descriptions.
        """
        path, build = _SPEECH[api]
        return self._calls.create(_expressed(build, request, path=path), parsing.created_audio)

    def create_cloned_speech(self, request: ClonedSpeechRequest) -> Audio:
        """**Paid.** Have a text spoken in the voice of a sample (v3; poll it with ``api="v3"``).

        Args:
            request: What to say.

        Returns:
            The job; its status is ``QUEUED`` where AKOOL's answer does not name one.

        Raises:
            NotSent, OutcomeUnknown, Refused: See their descriptions.
        """
        return self._calls.create(
            _expressed(payloads.cloned_speech_v3, request, path=CLONED_SPEECH_PATH),
            parsing.created_audio,
        )

    def create_voice_clone(self, request: VoiceCloneRequest) -> Voice:
        """**Paid.** Make a voice from a sample (v4; poll it with ``get_voice``).

        Args:
            request: What to make.

        Returns:
            The job; ``voice_id`` is empty until it is completed.

        Raises:
            NotSent, OutcomeUnknown, Refused: See their descriptions.
        """
        return self._calls.create(
            paid_request(VOICE_CLONE_PATH, payloads.voice_clone(request)), parsing.created_voice
        )

    def create_avatar(self, request: AvatarUpload) -> Avatar:
        """**Paid.** Make an avatar from a video (poll it with ``avatar_detail``).

        Args:
            request: What to make.

        Returns:
            The job, with the ``record_id`` to poll.

        Raises:
            AlreadyExists: The ``avatar_id`` is taken; look it up in ``list_avatars``.
            NotSent, OutcomeUnknown, Refused: See their descriptions.
        """
        return self._calls.create(
            paid_request(AVATAR_CREATE_PATH, payloads.avatar_upload(request)),
            lambda data: parsing.created_avatar(data, avatar_id=request.avatar_id),
        )

    def create_video(self, request: VideoRequest, *, api: VideoApi = "talkingavatar") -> Video:
        """**Paid.** Have a video made; ``akool_dagster.akool.payloads`` tells its layout.

        Args:
            request: What to make.
            api: ``talkingavatar`` (talkingavatar/create, current) or ``avatar``
                (avatar/createVideo, the older page). ``get_video_info`` reads both.

        Returns:
            The job; its status is ``QUEUED`` where AKOOL's answer does not name one.

        Raises:
            NotSent, OutcomeUnknown, Refused: See their descriptions.
        """
        path, build = _VIDEO[api]
        return self._calls.create(paid_request(path, build(request)), parsing.created_video)

    def _all_items(self, path: str, query: dict[str, int | None], *, key: str) -> list[Any]:
        filters = {name: int(value) for name, value in query.items() if value is not None}
        return all_items(
            lambda page: self._calls.read(path, parsing.page, params={**filters, **page}), key=key
        )


def _voices(items: Sequence[Any], *, path: str, is_own: bool | None) -> list[Voice]:
    voices = parsing.voices(items, is_own=is_own)
    _report_dropped(len(items) - len(voices), path=path, key="voice_id")
    return voices


def _report_dropped(count: int, *, path: str, key: str) -> None:
    if count:
        _log.info("GET %s: left out %d items without %s", path, count, key)


def _expressed(
    build: Callable[[_Request], payloads.Payload], request: _Request, *, path: str
) -> Request:
    try:
        return paid_request(path, build(request))
    except payloads.Inexpressible as problem:
        text = str(problem)
    endpoint = f"POST {path}"
    raise ItemRefused(
        f"{endpoint}: not sent, {text}",
        endpoint=endpoint,
        advice="Correct this item.",
    )


def _checked_base_url(base_url: str) -> str:
    parts = urlsplit(base_url)
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError("base_url holds a user name, a query or a fragment; leave them out.")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"base_url is {base_url!r}; give one like {AKOOL_BASE_URL}.")
    return base_url.rstrip("/")
