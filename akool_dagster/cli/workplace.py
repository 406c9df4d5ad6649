"""Where a command works: settings, storage, ledger, manifests."""

import contextlib
import hashlib
from collections.abc import Iterator
from pathlib import Path

import click
from upath import UPath

from akool_dagster.cli.exits import stop
from akool_dagster.ledger import Ledger, LedgerError
from akool_dagster.manifest import (
    MANIFEST_SUFFIXES,
    Manifest,
    ManifestError,
    manifest_name,
    read_manifest,
)
from akool_dagster.settings import Settings, SettingsError, load_settings
from akool_dagster.storage import Storage, StorageError, open_storage


def settings_or_stop() -> Settings:
    """Reads the environment.

    Returns:
        The settings; ends the command when they cannot be used.
    """
    try:
        return load_settings()
    except SettingsError as error:
        stop(str(error))


def storage_or_stop(settings: Settings) -> Storage:
    """Opens the data root.

    Args:
        settings: Name it.

    Returns:
        The storage; ends the command when it cannot be opened.
    """
    try:
        return open_storage(settings.data)
    except StorageError as error:
        stop(str(error))


@contextlib.contextmanager
def ledger_or_stop(settings: Settings, *, actor: str | None = None) -> Iterator[Ledger]:
    """Opens the ledger.

    Args:
        settings: Name it.
        actor: Who writes; this process by default.

    Yields:
        The ledger; ends the command when it cannot be opened.
    """
    try:
        ledger = Ledger.open(settings.ledger_url, service=settings.service, actor=actor)
    except (LedgerError, SettingsError) as error:
        stop(str(error))
    with ledger:
        yield ledger


def manifest_or_stop(storage: Storage, word: str, settings: Settings) -> Manifest:
    """Finds and validates a manifest.

    Args:
        storage: The data root.
        word: The manifest's name, or the path of its file.
        settings: Say which voices are used.

    Returns:
        The manifest; ends the command with all its errors when it has any.
    """
    path = _find(storage, word)
    try:
        return read_manifest(path, voice_api=settings.voice_api)
    except ManifestError as error:
        stop(f"{error}\n\nNothing was asked for and nothing was spent.")


def bring_in(storage: Storage, manifest: Manifest) -> None:
    """Copies a manifest from elsewhere into the folder where Dagster finds it.

    Args:
        storage: The data root.
        manifest: The validated manifest. Ends the command when another file is in its place.
    """
    others = {path.stem: path for path in storage.manifests()}
    there = others.get(manifest.name)
    source = manifest.path
    target = storage.root / "manifests" / source.name
    if there is None:
        storage.install_bytes(target, source.read_bytes())
        click.echo(f"Copied {source} to {target}.", err=True)
        return
    if hashlib.sha256(there.read_bytes()).hexdigest() != manifest.sha256:
        stop(
            f"{there} has the name of this manifest and another content. Replace that file if it "
            "is to be the new version, or rename yours. Nothing was asked for."
        )


def _find(storage: Storage, word: str) -> UPath | Path:
    by_name = [path for path in storage.manifests() if word in (path.stem, path.name)]
    if len(by_name) > 1:
        names = " and ".join(path.name for path in by_name)
        stop(f"{names} would both be the manifest {word!r}: rename one of them.")
    if by_name:
        return by_name[0]
    path = Path(word)
    if not path.exists():
        known = ", ".join(sorted(path.stem for path in storage.manifests())) or "none"
        stop(
            f"There is no manifest {word!r}: neither a file of that path nor a name among those "
            f"in {storage.root / 'manifests'} ({known})."
        )
    if path.suffix.lower() not in MANIFEST_SUFFIXES:
        stop(f"{path} is neither {' nor '.join(MANIFEST_SUFFIXES)}.")
    try:
        manifest_name(path)
    except ManifestError as error:
        stop(str(error))
    return path
