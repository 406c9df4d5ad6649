"""The environment variables of a deployment, read once, with types and defaults.

Nothing is read at import time: ``Settings()`` reads the environment when it is called.
"""

from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

VideoApi = Literal["talkingavatar", "avatar"]
VoiceApi = Literal["v4", "v3"]
AvatarNotReady = Literal["wait", "fail"]
UnlistedIds = Literal["refuse", "try"]

AKOOL_BASE_URL = "https://openapi.akool.com"

_LOOPBACK = {"127.0.0.1", "localhost", "::1"}


class SettingsError(ValueError):
    """An environment variable has a value that cannot be used."""


class Settings(BaseSettings):
    """Everything that the environment decides; each field is ``AKOOL_`` plus its name.

    Attributes:
        api_key: Sent as ``x-api-key``.
        client_id: For token login and webhook verification.
        client_secret: For token login and webhook verification.
        base_url: Root of the API, without a slash at its end.
        video_api: ``talkingavatar`` (current) or ``avatar`` (createVideo, the older page).
        voice_api: ``v4`` (VoiceLab) or ``v3`` (audio/create, audio/clone).
        data: Data root, a local folder or any fsspec URL.
        ledger: SQLAlchemy URL of the ledger; a SQLite file under a local data root by default.
        max_in_flight: Videos that AKOOL may be working on at once, over all runs.
        max_scripts_per_run: Script rows of one Dagster run.
        max_credits: Credits that may be reserved or spent in one UTC day; no cap by default.
        webhook_url: Public root of the webhook server; polling only by default.
        batch_cron: When ``scheduled_batch`` fires.
        timezone: Time zone of the schedules.
        poll_seconds: Seconds between the create of a video and the first look at its status;
            the pause grows from there.
        render_deadline_hours: Hours after which a run stops waiting for a video. The video is
            not lost: ``video_info_sensor`` saves it when it is there.
        avatar_not_ready: What a script does whose own avatar AKOOL still works on: ``wait`` for
            it, as long as for a video, or ``fail``. Nothing is spent on it before.
        unlisted_ids: What a script does whose ``voice_id`` or ``avatar_id`` AKOOL lists nowhere:
            ``refuse`` it before anything is spent, or ``try`` it. A typo in an ``avatar_id`` that
            is tried costs the voice.
    """

    model_config = SettingsConfigDict(env_prefix="AKOOL_", frozen=True, env_ignore_empty=True)

    api_key: SecretStr | None = None
    client_id: str | None = None
    client_secret: SecretStr | None = None
    base_url: str = AKOOL_BASE_URL
    video_api: VideoApi = "talkingavatar"
    voice_api: VoiceApi = "v4"
    data: str = "data"
    ledger: SecretStr | None = None
    max_in_flight: Annotated[int, Field(ge=1)] = 10
    max_scripts_per_run: Annotated[int, Field(ge=1)] = 100
    max_credits: Annotated[float, Field(gt=0)] | None = None
    webhook_url: str | None = None
    batch_cron: str = "0 2 * * *"
    timezone: str = "UTC"
    poll_seconds: Annotated[float, Field(gt=0)] = 10.0
    render_deadline_hours: Annotated[float, Field(gt=0)] = 6.0
    avatar_not_ready: AvatarNotReady = "wait"
    unlisted_ids: UnlistedIds = "refuse"

    @field_validator("base_url")
    @classmethod
    def _without_slash(cls, value: str) -> str:
        return value.rstrip("/")

    @property
    def has_credential(self) -> bool:
        """Whether a call to AKOOL can be signed at all."""
        return self.api_key is not None or (
            self.client_id is not None and self.client_secret is not None
        )

    @property
    def service(self) -> str:
        """Which service the ledger's entries belong to: ``emulator`` or the API's host name.

        What was made by the emulator must never pass for something that AKOOL made.
        """
        return service_of(self.base_url)

    @property
    def ledger_url(self) -> str:
        """SQLAlchemy URL of the ledger.

        Raises:
            SettingsError: The data root is not local and no ledger is named.
        """
        if self.ledger is not None:
            return self.ledger.get_secret_value()
        scheme, separator, _ = self.data.partition("://")
        if separator and scheme != "file":
            raise SettingsError(
                f"AKOOL_DATA={self.data} is not a local folder, so the ledger cannot be a file in "
                "it: set AKOOL_LEDGER, for example to postgresql+psycopg2://user@host/database."
            )
        root = self.data.removeprefix("file://")
        return f"sqlite:///{Path(root).expanduser().absolute() / 'ledger.sqlite'}"


def service_of(base_url: str) -> str:
    """Names the service behind an address of the API, see ``Settings.service``.

    Args:
        base_url: Root of the API.

    Returns:
        ``emulator`` for this machine, else the host name.
    """
    host = urlsplit(base_url).hostname or ""
    return "emulator" if host in _LOOPBACK else host


def load_settings() -> Settings:
    """Reads the environment.

    Returns:
        The settings.

    Raises:
        SettingsError: A variable has a value that cannot be used; names each of them.
    """
    try:
        return Settings()
    except ValidationError as error:
        problems = [
            f"AKOOL_{str(problem['loc'][0]).upper()}: {problem['msg']}"
            for problem in error.errors(include_url=False, include_input=False)
        ]
        raise SettingsError("Environment: " + "; ".join(problems)) from None
