"""A manifest from elsewhere comes into the data root together with its texts."""

from pathlib import Path

import pytest
from upath import UPath

from akool_dagster.cli.workplace import bring_in
from akool_dagster.manifest import Manifest, VoiceFiles, read_manifest
from akool_dagster.storage import Storage, open_storage

TEXTS = "script_id,language,script\na,de,Hallo\n"


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    root = tmp_path / "root"
    root.mkdir()
    (root / "voices.csv").write_text("language,voice_id\nde,Anna\n")
    return open_storage(str(root))


def sheet(folder: Path, storage: Storage, *, texts: str | None = TEXTS) -> Manifest:
    folder.mkdir(exist_ok=True)
    column = "note" if texts is not None else "script_de"
    (folder / "m.csv").write_text(
        f"script_id,script,language,languages,voice_id,avatar_id,{column}\n"
        "a,Hello,en,de,Emma,Jane,Hallo\n"
    )
    if texts is not None:
        (folder / "m.texts.csv").write_text(texts)
    voices = VoiceFiles(mapping=storage.voice_map_path(), catalog=storage.catalog_path("voices"))
    return read_manifest(folder / "m.csv", voices=voices)


def names(storage: Storage) -> list[str]:
    return sorted(path.name for path in (storage.root / "manifests").iterdir())


def test_the_texts_come_along_and_are_no_manifest(tmp_path: Path, storage: Storage) -> None:
    manifest = sheet(tmp_path / "desk", storage)
    bring_in(storage, manifest)
    assert names(storage) == ["m.csv", "m.texts.csv"]
    (path,) = storage.manifests()
    assert path.name == "m.csv"
    assert [file.name for file in storage.companions(path)] == ["m.texts.csv", "voices.csv"]
    voices = VoiceFiles(mapping=storage.voice_map_path(), catalog=storage.catalog_path("voices"))
    assert read_manifest(path, voices=voices).keys == ["m.a-de"]
    bring_in(storage, manifest)  # it is there already
    bring_in(storage, read_manifest(path, voices=voices))


def test_texts_written_later_come_along_as_well(tmp_path: Path, storage: Storage) -> None:
    manifest = sheet(tmp_path / "desk", storage)
    storage.install_bytes(storage.root / "manifests" / "m.csv", manifest.path.read_bytes())
    bring_in(storage, manifest)
    assert names(storage) == ["m.csv", "m.texts.csv"]


def test_other_texts_of_the_same_name_are_not_overwritten(
    tmp_path: Path, storage: Storage, capsys: pytest.CaptureFixture[str]
) -> None:
    bring_in(storage, sheet(tmp_path / "desk", storage))
    edited = sheet(tmp_path / "desk", storage, texts=TEXTS.replace("Hallo", "Servus"))
    with pytest.raises(SystemExit):
        bring_in(storage, edited)
    assert "m.texts.csv has the name of" in capsys.readouterr().err
    assert (storage.root / "manifests" / "m.texts.csv").read_text() == TEXTS


def test_texts_that_lie_there_alone_are_not_taken_for_ones_own(
    tmp_path: Path, storage: Storage, capsys: pytest.CaptureFixture[str]
) -> None:
    storage.install_bytes(storage.root / "manifests" / "m.texts.csv", TEXTS.encode())
    with pytest.raises(SystemExit):
        bring_in(storage, sheet(tmp_path / "desk", storage, texts=None))
    assert "would be taken for the texts of" in capsys.readouterr().err
    assert names(storage) == ["m.texts.csv"]


def test_a_file_whose_name_is_in_capitals_is_not_left_out_in_silence(storage: Storage) -> None:
    folder = UPath(storage.root / "manifests")
    storage.install_bytes(folder / "m.TEXTS.csv", TEXTS.encode())
    assert [path.name for path in storage.manifests()] == ["m.TEXTS.csv"]
