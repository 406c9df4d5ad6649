"""Where a command works: storage, ledger, manifests, and its own files."""

import contextlib
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click
from upath import UPath

from akool_dagster.cli.exits import stop
from akool_dagster.file_endings import MANIFEST_SUFFIXES
from akool_dagster.ledger import Ledger, LedgerError
from akool_dagster.manifest import ManifestError, VoiceFiles, find_texts
from akool_dagster.settings import Settings, SettingsError
from akool_dagster.storage import Storage, StorageError

if TYPE_CHECKING:
    from akool_dagster.manifest import Manifest

PLAIN_ERRORS = (SettingsError, StorageError, LedgerError, ManifestError)
"""Errors that a person can put right: their text is all that a command shows of them."""


def local_folder(settings: Settings) -> Path:
    """Names the local folder for what can only be kept on this machine.

    Args:
        settings: Name the data root.

    Returns:
        The data root when it is local, else ``data`` in the working directory; absolute.
    """
    scheme, separator, rest = settings.data.partition("://")
    if not separator:
        return Path(settings.data).expanduser().absolute()
    return Path(rest).absolute() if scheme in ("file", "local") else Path("data").absolute()


@contextlib.contextmanager
def opened_ledger(settings: Settings, *, actor: str | None = None) -> Iterator[Ledger]:
    """Opens the ledger; requests whose process died meanwhile are in doubt from then on.

    Args:
        settings: Name it.
        actor: Who writes; this process by default.

    Yields:
        The ledger.

    Raises:
        LedgerError: It cannot be opened.
    """
    try:
        ledger = Ledger.open(settings.ledger_url, service=settings.service, actor=actor)
    except OSError as error:  # its folder cannot be made
        stop(f"The ledger cannot be opened: {error}. Check AKOOL_DATA and AKOOL_LEDGER.")
    with ledger:
        ledger.attempts.doubt_the_abandoned()
        yield ledger


def checked_manifest(storage: Storage, word: str, settings: Settings) -> "Manifest":
    """Finds and validates a manifest.

    Args:
        storage: The data root.
        word: The path of its file, or the manifest's name.
        settings: Say which voices are used.

    Returns:
        The manifest.

    Raises:
        ManifestError: It has errors; names all of them.
    """
    from akool_dagster.manifest import read_manifest

    voices = VoiceFiles(mapping=storage.voice_map_path(), catalog=storage.catalog_path("voices"))
    return read_manifest(_find(storage, word), voice_api=settings.voice_api, voices=voices)


def bring_in(storage: Storage, manifest: "Manifest") -> None:
    """Copies a manifest from elsewhere into the folder where Dagster finds it, with its texts.

    Args:
        storage: The data root.
        manifest: The validated manifest. Ends the command when another file is in its place.
    """
    there = next((path for path in storage.manifests() if path.stem == manifest.name), None)
    folder = storage.root / "manifests"
    source = manifest.path
    if there is not None and hashlib.sha256(there.read_bytes()).hexdigest() != manifest.sha256:
        _stop_at(there, f"has the name of {source} and another content")
    ours, theirs = find_texts(source), find_texts(folder / source.name)
    if theirs is not None and ours is None:
        _stop_at(theirs, f"would be taken for the texts of {source}, which has none beside it")
    if theirs is not None and ours is not None and not _is_same(ours, theirs):
        _stop_at(theirs, f"has the name of {ours} and another content")
    # The texts go first: the sensor may look at any moment.
    if ours is not None and theirs is None:
        _copy(storage, ours, folder / ours.name)
    if there is None:
        _copy(storage, source, folder / source.name)


def _copy(storage: Storage, source: UPath | Path, target: UPath) -> None:
    storage.install_bytes(target, source.read_bytes())
    click.echo(f"Copied {source} to {target}.", err=True)


def _is_same(one: UPath | Path, other: UPath | Path) -> bool:
    return one.suffix == other.suffix and one.read_bytes() == other.read_bytes()


def _stop_at(path: UPath | Path, what: str) -> NoReturn:
    stop(
        f"{path} {what}. If yours is the new version, put it in that place; if it is another "
        "batch, rename it. Nothing was asked for and nothing was spent."
    )


def _find(storage: Storage, word: str) -> UPath | Path:
    """Takes a file's path for that file, and any other word for a name in the data root."""
    path = Path(word).expanduser()
    if path.suffix.lower() in MANIFEST_SUFFIXES and path.exists():
        return path
    manifests = storage.manifests()
    by_name = [known for known in manifests if word in (known.stem, known.name)]
    if len(by_name) > 1:
        names = " and ".join(known.name for known in by_name)
        stop(f"{names} would both be the manifest {word!r}: rename one of them.")
    if not by_name and path.exists():
        stop(f"{path} is no manifest: its name must end in {' or '.join(MANIFEST_SUFFIXES)}.")
    if not by_name:
        names = ", ".join(sorted(known.stem for known in manifests)) or "none"
        stop(
            f"There is no manifest {word!r}: neither a file of that path nor a name among those "
            f"in {storage.root / 'manifests'} ({names})."
        )
    return by_name[0]
