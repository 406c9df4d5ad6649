"""A manifest is validated again when its texts or the voices change, and once only."""

import os
import time
from pathlib import Path

import dagster as dg
import pytest

from akool_dagster_tests.dagster_place import Place

SHEET = (
    "script_id,script,language,languages,voice_id,avatar_id\n"
    'a,Hello,en,"en,de",Emma_en-US,Jane_in_Blue_2024\n'
)
TEXTS = "script_id,language,script\na,de,Hallo\n"
VOICES = "language,voice_id\nde,Anna_de-DE\n"


def put(path: Path, text: str, *, seconds: float = 60.0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    then = time.time() - seconds
    os.utime(path, (then, then))


def asked(result: dg.SensorResult) -> list[str | None]:
    return [request.partition_key for request in result.run_requests or ()]


@pytest.fixture
def put_all(place: Place) -> None:
    put(place.data / "manifests" / "m.csv", SHEET)
    put(place.data / "manifests" / "m.texts.csv", TEXTS)
    put(place.data / "voices.csv", VOICES)


@pytest.mark.usefixtures("put_all")
@pytest.mark.parametrize("name", ["manifests/m.texts.csv", "voices.csv"])
def test_a_companion_that_changes_has_its_manifest_validated_again(place: Place, name: str) -> None:
    first = place.tick("manifest_sensor")
    assert asked(first) == ["m"]
    assert asked(place.tick("manifest_sensor", cursor=first.cursor)) == []

    path = place.data / name
    put(path, path.read_text() + "\n", seconds=0.0)
    assert asked(place.tick("manifest_sensor", cursor=first.cursor)) == []  # still being copied
    put(path, path.read_text(), seconds=30.0)
    assert asked(place.tick("manifest_sensor", cursor=first.cursor)) == ["m"]
    path.unlink()
    assert asked(place.tick("manifest_sensor", cursor=first.cursor)) == ["m"]


@pytest.mark.usefixtures("put_all")
def test_each_language_of_a_row_becomes_a_partition_of_its_own(place: Place) -> None:
    assert place.validate("m").success
    assert place.instance.get_dynamic_partitions("scripts") == ["m.a-en", "m.a-de"]
    (place.data / "voices.csv").unlink()
    assert not place.validate("m").success
