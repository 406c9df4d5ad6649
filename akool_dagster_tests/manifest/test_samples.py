"""The samples that the demo runs: good manifests that show every way of a voice and an avatar."""

from urllib.parse import urlsplit

import pytest
from pyarrow import parquet

from akool_dagster.manifest import ScriptRow, read_manifest
from akool_dagster_tests.manifest.product_tour import SAMPLE, SAMPLES, SOURCE, source_table

WELCOME = SAMPLES / "welcome.csv"
FAILURE = "rehearsal-of-a-failure"
WIDE_LETTERS = {"ja", "zh"}  # one character is a syllable or a word


def _rows() -> list[ScriptRow]:
    return [row for path in (WELCOME, SAMPLE) for row in read_manifest(path).rows()]


def test_the_folder_holds_manifests_only():
    assert {path.name for path in SAMPLES.iterdir()} == {WELCOME.name, SAMPLE.name}


def test_the_parquet_sample_equals_its_source():
    assert parquet.read_table(SAMPLE).equals(source_table())


def test_the_parquet_sample_reads_like_its_source():
    def content(path):
        return [
            (row.script_id, row.title, row.extra, row.rate_percent, row.voice_hash, row.video_hash)
            for row in read_manifest(path).rows()
        ]

    assert content(SAMPLE) == content(SOURCE)


def test_the_welcome_sample_needs_no_repair():
    assert read_manifest(WELCOME).repairs == ()


def test_every_way_of_a_voice_and_an_avatar_is_shown():
    rows = _rows()
    assert len(rows) == 18
    assert any(row.voice_id for row in rows)
    assert any(row.voice_sample_url for row in rows)
    assert any(row.voice_url for row in rows)
    avatars = {(row.avatar_url or "").rpartition(".")[2] for row in rows}
    assert avatars == {"", "png", "mp4"}
    assert {row.language for row in rows} >= {"en", "de", "fr", "es", "ja"}
    assert len({row.background for row in rows}) > 4
    assert len({row.rate_percent for row in rows}) > 4
    assert len({row.video_hash for row in rows}) == len(rows)


@pytest.mark.parametrize("row", _rows(), ids=lambda row: row.key)
def test_scripts_speak_for_a_few_seconds_and_hold_no_unfilled_place(row: ScriptRow):
    assert row.title
    if row.script is not None:
        longest = 100 if row.language in WIDE_LETTERS else 250
        assert longest / 2.5 <= len(row.script) <= longest
        assert "{{" not in row.script


def test_one_row_rehearses_a_failure_and_says_so():
    failing = [row for row in _rows() if "[[" in (row.script or "")]
    assert [row.script_id for row in failing] == [FAILURE]
    script = failing[0].script or ""
    assert "[[video:failed 1205 create video error]]" in script
    assert "rehearsal" in script


def test_links_lead_to_the_emulator_at_its_fixed_port():
    links = [
        link
        for row in _rows()
        for link in (row.voice_sample_url, row.voice_url, row.avatar_url)
        if link
    ]
    assert len(links) >= 5
    assert {urlsplit(link).netloc for link in links} == {"127.0.0.1:8790"}
