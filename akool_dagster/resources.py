"""Dagster resources: AKOOL, the storage and the ledger, configured by the environment.

Every process of Dagster loads them and few open them, so the libraries behind are imported then.
"""

import contextlib
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import dagster as dg
from pydantic import Field

from akool_dagster.settings import (
    AKOOL_BASE_URL,
    AvatarNotReady,
    Settings,
    UnlistedIds,
    VideoApi,
    VoiceApi,
    service_of,
)

if TYPE_CHECKING:
    from akool_dagster.akool import AkoolClient, Credential, Timeouts
    from akool_dagster.batch.tools import Rules, Tools
    from akool_dagster.ledger import Ledger
    from akool_dagster.storage import Storage


class StorageResource(dg.ConfigurableResource):
    """The data root: manifests go in, voices, videos, results and catalogs come out."""

    data: str = Field(default="data", description="Local folder or any fsspec address.")

    def open(self) -> "Storage":
        """Opens the data root.

        Returns:
            The storage.
        """
        from akool_dagster.storage import open_storage

        return open_storage(self.data)


class LedgerResource(dg.ConfigurableResource):
    """The ledger: every paid request, what came of it, and where its file is."""

    url: str = Field(description="SQLAlchemy address of a SQLite or PostgreSQL database.")
    service: str = Field(description="Whose entries are seen: AKOOL's host name or 'emulator'.")

    @contextlib.contextmanager
    def open(self) -> Iterator["Ledger"]:
        """Opens the ledger for as long as the block lasts.

        Yields:
            The ledger.

        Raises:
            LedgerError: It cannot be opened.
        """
        from akool_dagster.ledger import Ledger

        with Ledger.open(self.url, service=self.service) as ledger:
            yield ledger


class AkoolResource(dg.ConfigurableResource):
    """AKOOL: where it is, who asks, and the rules of asking."""

    base_url: str = Field(default=AKOOL_BASE_URL, description="Root of the API.")
    api_key: str | None = Field(default=None, description="Sent as x-api-key.")
    client_id: str | None = Field(default=None, description="For token login and webhooks.")
    client_secret: str | None = Field(default=None, description="For token login and webhooks.")
    video_api: str = Field(default="talkingavatar", description="talkingavatar or avatar.")
    voice_api: str = Field(default="v4", description="v4 or v3.")
    max_in_flight: int = Field(default=10, description="Videos AKOOL may work on at once.")
    max_credits: float | None = Field(default=None, description="Cap per UTC day, in credits.")
    webhook_url: str | None = Field(default=None, description="Public root of the webhooks.")
    poll_seconds: float = Field(default=10.0, description="Pause before a video's first look.")
    render_deadline_hours: float = Field(
        default=6.0, description="How long a run waits for one video; it is not lost after that."
    )

    avatar_not_ready: str = Field(
        default="wait", description="wait or fail: rows whose own avatar AKOOL still works on."
    )
    unlisted_ids: str = Field(
        default="refuse",
        description="refuse or try: rows whose voice or avatar AKOOL lists nowhere.",
    )

    @property
    def service(self) -> str:
        """Which service this is: AKOOL's host name or 'emulator'."""
        return service_of(self.base_url)

    @property
    def has_credential(self) -> bool:
        """Whether a call to AKOOL can be signed at all."""
        return bool(self.api_key or (self.client_id and self.client_secret))

    @contextlib.contextmanager
    def open(self, *, timeouts: "Timeouts | None" = None) -> Iterator["AkoolClient"]:
        """Opens a client for as long as the block lasts.

        Args:
            timeouts: How long a call may take; the client's own choice by default.

        Yields:
            The client.

        Raises:
            dagster.Failure: No credential is set.
        """
        from akool_dagster.akool import AkoolClient

        with AkoolClient(self._credential(), base_url=self.base_url, timeouts=timeouts) as client:
            yield client

    def rules(self) -> "Rules":
        """Collects the rules of asking.

        Returns:
            The rules.
        """
        from akool_dagster.batch.tools import Rules
        from akool_dagster.ledger import Limits

        video_api: VideoApi = "avatar" if self.video_api == "avatar" else "talkingavatar"
        voice_api: VoiceApi = "v3" if self.voice_api == "v3" else "v4"
        not_ready: AvatarNotReady = "fail" if self.avatar_not_ready == "fail" else "wait"
        unlisted: UnlistedIds = "try" if self.unlisted_ids == "try" else "refuse"
        return Rules(
            video_api=video_api,
            voice_api=voice_api,
            limits=Limits(max_in_flight=self.max_in_flight, max_credits=self.max_credits),
            webhook_url=self.webhook_url,
            poll_seconds=self.poll_seconds,
            render_deadline_seconds=self.render_deadline_hours * 3600,
            avatar_not_ready=not_ready,
            unlisted_ids=unlisted,
        )

    def _credential(self) -> "Credential":
        from akool_dagster.akool import choose_credential

        try:
            credential = choose_credential(
                api_key=self.api_key, client_id=self.client_id, client_secret=self.client_secret
            )
        except ValueError as error:
            raise dg.Failure(f"{error} Nothing was sent.", allow_retries=False) from error
        if credential is not None:
            return credential
        raise dg.Failure(
            "No AKOOL credential is set. Set AKOOL_API_KEY (or AKOOL_CLIENT_ID and "
            "AKOOL_CLIENT_SECRET) and start Dagster again, or rehearse on the emulator with "
            "`akool-dagster dev`. Nothing was sent.",
            allow_retries=False,
        )


@contextlib.contextmanager
def open_tools(
    akool: AkoolResource,
    ledger: LedgerResource,
    storage: StorageResource,
    *,
    timeouts: "Timeouts | None" = None,
) -> Iterator["Tools"]:
    """Opens everything that the steps of a batch work with.

    Args:
        akool: AKOOL.
        ledger: The ledger.
        storage: The data root.
        timeouts: How long a call to AKOOL may take; the client's own choice by default.

    Yields:
        The tools; their connections are closed at the end of the block.
    """
    from akool_dagster.batch.catalogs.avatar_book import open_avatar_book
    from akool_dagster.batch.catalogs.voice_book import open_voice_book
    from akool_dagster.batch.prices import PriceBook
    from akool_dagster.batch.tools import Tools
    from akool_dagster.downloads import Downloader

    root = storage.open()
    rules = akool.rules()
    with (
        akool.open(timeouts=timeouts) as client,
        ledger.open() as book,
        Downloader() as downloader,
    ):
        yield Tools(
            client=client,
            ledger=book,
            storage=root,
            downloader=downloader,
            avatars=open_avatar_book(client, root, service=akool.service),
            voices=open_voice_book(client, root, service=akool.service, api=rules.voice_api),
            rules=rules,
            prices=PriceBook.from_ledger(book),
        )


def resources_from_environment(settings: Settings) -> dict[str, Any]:
    """Builds the resources of the code location.

    Args:
        settings: What the environment decides.

    Returns:
        Resource by name. Secrets stay names of environment variables, so that neither Dagster's
        database nor its UI holds them.
    """
    return {
        "akool": AkoolResource(
            base_url=settings.base_url,
            api_key=_secret("AKOOL_API_KEY"),
            client_id=_secret("AKOOL_CLIENT_ID"),
            client_secret=_secret("AKOOL_CLIENT_SECRET"),
            video_api=settings.video_api,
            voice_api=settings.voice_api,
            max_in_flight=settings.max_in_flight,
            max_credits=settings.max_credits,
            webhook_url=settings.webhook_url,
            poll_seconds=settings.poll_seconds,
            render_deadline_hours=settings.render_deadline_hours,
            avatar_not_ready=settings.avatar_not_ready,
            unlisted_ids=settings.unlisted_ids,
        ),
        "ledger": LedgerResource(
            url=_ledger_url(settings),
            service=settings.service,
        ),
        "storage": StorageResource(data=settings.data),
    }


def _ledger_url(settings: Settings) -> str:
    # The address of a database may hold a password; the default is a plain file.
    secret = _secret("AKOOL_LEDGER")
    return secret if secret is not None else settings.ledger_url


def _secret(name: str) -> str | None:
    return dg.EnvVar(name) if os.environ.get(name) else None
