"""Brings a finished voice or video onto our storage, once per row."""

from akool_dagster.akool import AkoolError
from akool_dagster.batch.tools import Tools
from akool_dagster.batch.watching.looking import fresh_link
from akool_dagster.downloads import DownloadError, LinkDied, SavedFile
from akool_dagster.ledger import Attempt, Delivery, Kind, State
from akool_dagster.storage import StorageError


class NotSaved(Exception):
    """The file is not on our storage; what AKOOL made is still there.

    Attributes:
        expired: Whether AKOOL's link is dead for good.
    """

    def __init__(self, message: str, *, expired: bool = False) -> None:
        super().__init__(message)
        self.expired = expired


def is_saved(tools: Tools, delivery: Delivery, *, attempt_id: int | None) -> bool:
    """Tells whether a row's file is there and comes from the attempt that counts.

    Args:
        tools: What the batch works with.
        delivery: The row's line.
        attempt_id: The attempt that counts, None for a link that the row gave.

    Returns:
        True when nothing is left to do.
    """
    if delivery.saved_at is None or delivery.path is None or delivery.attempt_id != attempt_id:
        return False
    return tools.storage.exists(delivery.path)


def save(tools: Tools, delivery: Delivery, attempt: Attempt) -> Delivery:
    """Saves the file of a finished attempt for one row.

    A row with the same content may have saved it before: then its file is copied.

    Args:
        tools: What the batch works with.
        delivery: The row's line.
        attempt: The completed or saved attempt for its content.

    Returns:
        The row's line with the saved file.

    Raises:
        NotSaved: It could not be saved.
    """
    twin = _saved_twin(tools, delivery, attempt)
    try:
        if twin is not None:
            _copy(tools, delivery, twin)
        else:
            _fetch(tools, delivery, attempt)
    except (DownloadError, StorageError, AkoolError) as error:
        tools.ledger.deliveries.not_saved(delivery.id, problem=str(error))
        raise NotSaved(str(error)) from error
    return _reread(tools, delivery)


def save_given(tools: Tools, delivery: Delivery, *, url: str) -> Delivery:
    """Saves the file behind a link that the row itself gave.

    Args:
        tools: What the batch works with.
        delivery: The row's line.
        url: The link.

    Returns:
        The row's line with the saved file.

    Raises:
        NotSaved: It could not be saved.
    """
    try:
        file = _download(tools, delivery, url)
    except (DownloadError, StorageError) as error:
        tools.ledger.deliveries.not_saved(delivery.id, problem=str(error))
        raise NotSaved(str(error)) from error
    _note(tools, delivery, file, attempt_id=None)
    return _reread(tools, delivery)


def _fetch(tools: Tools, delivery: Delivery, attempt: Attempt) -> None:
    assert attempt.url is not None  # noqa: S101 - every completed attempt has one
    try:
        file = _download(tools, delivery, attempt.url)
    except LinkDied as error:
        fresh = fresh_link(tools, attempt)
        if fresh is None:
            raise _expired(tools, attempt, error) from error
        try:
            file = _download(tools, delivery, fresh)
        except LinkDied as again:
            raise _expired(tools, attempt, again) from again
    _note(tools, delivery, file, attempt_id=attempt.id)
    tools.ledger.attempts.save(attempt.id, media_seconds=file.media.duration_seconds)


def _expired(tools: Tools, attempt: Attempt, error: LinkDied) -> NotSaved:
    if attempt.state is State.COMPLETED:
        tools.ledger.attempts.expire(
            attempt.id,
            reason=f"AKOOL's link was dead before the file was saved: {error}",
            advice="Materialize the row again to have it made anew; that is a new, paid request.",
        )
    return NotSaved(str(error), expired=True)


def _download(tools: Tools, delivery: Delivery, url: str) -> SavedFile:
    if delivery.kind is Kind.VIDEO:
        target = tools.storage.video_path(delivery.script_key)
        return tools.downloader.fetch(url, target, storage=tools.storage, expect="video")
    return tools.downloader.fetch(
        url,
        lambda extension: tools.storage.voice_path(delivery.script_key, extension),
        storage=tools.storage,
        expect="audio",
    )


def _saved_twin(tools: Tools, delivery: Delivery, attempt: Attempt) -> Delivery | None:
    rows = tools.ledger.deliveries.of_content(
        kind=delivery.kind, content_hash=delivery.content_hash
    )
    for row in rows:
        if row.id != delivery.id and is_saved(tools, row, attempt_id=attempt.id):
            return row
    return None


def _copy(tools: Tools, delivery: Delivery, twin: Delivery) -> None:
    assert twin.path is not None  # noqa: S101 - is_saved says so
    source = tools.storage.path(twin.path)
    if delivery.kind is Kind.VIDEO:
        target = tools.storage.video_path(delivery.script_key)
    else:
        target = tools.storage.voice_path(delivery.script_key, source.suffix.lstrip("."))
    tools.storage.copy(source, target)
    tools.ledger.deliveries.saved(
        delivery.id,
        attempt_id=twin.attempt_id,
        path=tools.storage.relative(target),
        sha256=twin.sha256 or "",
        size_bytes=twin.size_bytes or 0,
        media_seconds=twin.media_seconds or 0.0,
    )


def _note(tools: Tools, delivery: Delivery, file: SavedFile, *, attempt_id: int | None) -> None:
    tools.ledger.deliveries.saved(
        delivery.id,
        attempt_id=attempt_id,
        path=tools.storage.relative(file.path),
        sha256=file.sha256,
        size_bytes=file.size_bytes,
        media_seconds=file.media.duration_seconds,
    )


def _reread(tools: Tools, delivery: Delivery) -> Delivery:
    found = tools.ledger.deliveries.find(
        script_key=delivery.script_key, kind=delivery.kind, content_hash=delivery.content_hash
    )
    assert found is not None  # noqa: S101 - lines of the ledger are never removed
    return found
