"""Looking up only the rows that are not saved foresees the same as looking up all of them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from akool_dagster.batch.preview import preview
from akool_dagster.batch.prices import PriceBook
from akool_dagster.batch.row_status import row_statuses, statuses_but_saved
from akool_dagster.batch.standing import Standing
from akool_dagster.ledger import Kind, Ledger, State
from akool_dagster.ledger.tables import attempts, deliveries
from akool_dagster.manifest import read_manifest
from akool_dagster_tests.support import plain_line, write_manifest

NOW = 1_700_000_000.0


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(f"sqlite:///{tmp_path / 'ledger.sqlite'}", service="emulator") as opened:
        yield opened


def test_every_standing_is_foreseen_alike(ledger: Ledger, tmp_path: Path) -> None:
    lines = [plain_line(f"{state.value}-{here}") for state in State for here in (0, 1)]
    lines = [line.replace("Hello", f"Hello {n},") for n, line in enumerate(lines)]
    others = ("saved-allowed", "saved-other", "never")
    lines += [plain_line(word, f"Text of {word}.") for word in others]
    manifest = read_manifest(write_manifest(tmp_path, "m", *lines))
    rows = {row.script_id: row for row in manifest.rows()}
    for script_id, row in rows.items():
        state, _, how = script_id.partition("-")
        if state != "never":
            content = "0" * 64 if how == "other" else row.video_hash
            allowed = NOW if how == "allowed" else None
            _video(
                ledger, script_id, content=content, state=state, here=how != "0", allowed=allowed
            )

    every = row_statuses(ledger, manifest.rows())
    some, saved = statuses_but_saved(ledger, manifest)
    expected = {s.row.key for s in every if s.standing is Standing.SAVED}
    assert set(saved) == {rows["saved-1"].key} < expected  # completed ones are looked up as well
    assert some == [status for status in every if status.row.key not in saved]
    known = ["m.never", "m.saved-1", "m.gone"]
    prices = PriceBook()
    foreseen = preview(some, prices, clones_apart=True, known_keys=known, done_keys=saved)
    assert foreseen == preview(every, prices, clones_apart=True, known_keys=known)
    assert foreseen.removed == ["m.gone"]


def test_rows_that_never_asked_are_told_alike_without_looking_for_their_lines(
    ledger: Ledger, tmp_path: Path
) -> None:
    lines = [plain_line(f"new-{n}", f"Text {n}.") for n in range(20)]
    lines += [plain_line("respoken"), plain_line("restyled"), plain_line("saved")]
    lines += [plain_line("twin", "Text 1.").replace("This is twin", "This is new-1")]
    manifest = read_manifest(write_manifest(tmp_path, "m", *lines))
    rows = {row.script_id: row for row in manifest.rows()}
    assert rows["twin"].video_hash == rows["new-1"].video_hash
    for script_id, content in (("respoken", "1" * 64), ("restyled", rows["restyled"].voice_hash)):
        ledger.deliveries.ask(script_key=f"m.{script_id}", kind=Kind.VOICE, content_hash=content)
    saved, state = rows["saved"].video_hash, State.SAVED.value
    _video(ledger, "restyled", content="2" * 64, state=state, here=True, allowed=None)
    _video(ledger, "saved", content=saved, state=state, here=True, allowed=None)
    _video(ledger, "elsewhere", content=rows["new-1"].video_hash, state=state, here=True,
           allowed=None)  # fmt: skip

    every = {status.row.script_id: status for status in row_statuses(ledger, manifest.rows())}
    some, done = statuses_but_saved(ledger, manifest)
    assert list(done) == ["m.saved"]
    assert some == [status for status in every.values() if status.row.key != "m.saved"]
    assert every["respoken"].is_respoken
    assert every["restyled"].is_changed
    assert not every["restyled"].is_respoken
    assert {every["new-1"].standing, every["twin"].standing} == {Standing.FINISHED}
    assert {every[f"new-{n}"].standing for n in range(2, 20)} == {Standing.NEW}


def _video(
    ledger: Ledger, script_id: str, *, content: str, state: str, here: bool, allowed: float | None
) -> None:
    with ledger._database.writing() as connection:
        made = connection.execute(
            attempts.insert().values(
                service="emulator", kind=Kind.VIDEO.value, content_hash=content, number=1,
                state=state, api="talkingavatar", webhook_token=script_id, planned_at=NOW,
                pay_again_at=allowed,
            )
        ).inserted_primary_key  # fmt: skip
        assert made is not None
        connection.execute(
            deliveries.insert().values(
                service="emulator", script_key=f"m.{script_id}", kind=Kind.VIDEO.value,
                content_hash=content, manifest="m", asked_at=NOW, changed_at=NOW,
                attempt_id=made[0], saved_at=NOW if here else None,
            )
        )  # fmt: skip
