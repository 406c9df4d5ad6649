"""Everyone's own presenters and voices, end to end: ``benchmarks.showcase`` at small size."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from akool_dagster.cli import main
from akool_dagster.manifest import VoiceFiles, read_manifest
from benchmarks.showcase import (
    AVATARS,
    KINDS,
    TEXTS,
    Ended,
    Findings,
    Line,
    contents,
    edited,
    from_terminal,
    sheet,
    write_sheet,
)

ROWS = 24


def lines() -> list[Line]:
    return sheet(ROWS, akool="http://127.0.0.1:1")


def counts(rows: Sequence[Line]) -> Mapping[str, int]:
    return {kind: len(found) for kind, found in contents(rows).items()}


def test_every_promise_is_kept_from_the_terminal(tmp_path: Path) -> None:
    home = tmp_path / "dagster_home"
    home.mkdir()
    (home / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")

    def in_this_process(words: Sequence[str], settings: Mapping[str, str]) -> Ended:
        said = CliRunner().invoke(main, list(words), env={**settings, "DAGSTER_HOME": str(home)})
        return Ended(code=said.exit_code, out=said.stdout, err=said.stderr)

    findings = from_terminal(tmp_path, rows=ROWS, command=in_this_process)
    assert findings.broken == []
    promises = " ".join(finding.promise for finding in findings.all)
    for word in ("paid once", "sends nothing", "new contents are paid", "exactly the edited"):
        assert word in promises


def test_the_sheet_is_what_it_says_it_is(tmp_path: Path) -> None:
    write_sheet(tmp_path, lines())
    voices = VoiceFiles(mapping=tmp_path / "voices.csv", catalog=tmp_path / "none")
    rows = list(read_manifest(tmp_path / "manifests" / "showcase.csv", voices=voices).rows())
    assert len(rows) == ROWS * len(TEXTS)
    assert {row.language for row in rows} == set(TEXTS)
    assert {row.avatar_id for row in rows} > set(AVATARS)
    assert not any("{{" in (row.script or "") for row in rows)
    found = counts(lines())
    assert (found["avatar"], found["clone"]) == (4, 5)
    assert len({row.voice_hash for row in rows}) == found["voice"] < found["video"] < len(rows)
    assert len({row.video_hash for row in rows}) == found["video"]


def test_one_row_in_a_hundred_is_edited() -> None:
    rows = [replace(line, number=number) for number, line in enumerate(lines() * 10)]
    assert sum(old != new for old, new in zip(rows, edited(rows), strict=True)) == 2
    assert sum(old != new for old, new in zip(lines(), edited(lines()), strict=True)) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_payment_too_many_is_a_broken_promise(kind: str) -> None:
    findings = Findings()
    paid = dict(counts(lines()))
    findings.expect("paid once", found=paid | {kind: paid[kind] + 1}, expected=paid)
    assert [finding.is_kept for finding in findings.all] == [False]
    assert "instead of" in findings.table()
