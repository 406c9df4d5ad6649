"""What a run would do: every row in its group, every distinct content priced once."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from akool_dagster.batch.planning import keys_to_request
from akool_dagster.batch.preview import Change, Preview, change_of, preview
from akool_dagster.batch.prices import PriceBook, speech_seconds
from akool_dagster.batch.row_status import row_statuses
from akool_dagster.batch.standing import Standing
from akool_dagster.ledger import Kind, Ledger, Limits, State
from akool_dagster.ledger.tables import attempts, deliveries
from akool_dagster.manifest import ScriptRow, read_manifest
from akool_dagster_tests.support import csv_line, plain_line, write_manifest

RowsOf = Callable[..., list[ScriptRow]]
PRICES = PriceBook()
NOW = 1_700_000_000.0


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(f"sqlite:///{tmp_path / 'ledger.sqlite'}", service="emulator") as opened:
        yield opened


@pytest.fixture(scope="module")
def empty_ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    url = f"sqlite:///{tmp_path_factory.mktemp('empty') / 'ledger.sqlite'}"
    with Ledger.open(url, service="emulator") as opened:
        yield opened


def look(ledger: Ledger, rows: Sequence[ScriptRow], *, known: Sequence[str] = ()) -> Preview:
    statuses = row_statuses(ledger, rows)
    return preview(statuses, PRICES, clones_apart=True, known_keys=known)


def counts(seen: Preview) -> dict[str, int]:
    return {change.value: group.rows for change, group in seen.groups.items() if group.rows}


def made(ledger: Ledger, rows: Sequence[ScriptRow], *, videos_too: bool = True) -> None:
    """Writes down that all of these rows are done, many at once."""
    kinds = [(Kind.VOICE, "voice_hash"), *([(Kind.VIDEO, "video_hash")] if videos_too else [])]
    with ledger._database.writing() as connection:
        for kind, name in kinds:
            hashes = list(dict.fromkeys(getattr(row, name) for row in rows))
            known = set(connection.scalars(sa.select(attempts.c.content_hash)))
            new = [_attempt(kind, digest) for digest in hashes if digest not in known]
            if new:
                connection.execute(attempts.insert(), new)
            ids = dict(connection.execute(sa.select(attempts.c.content_hash, attempts.c.id)).all())
            connection.execute(
                deliveries.insert(),
                [_delivery(kind, row, getattr(row, name), ids) for row in rows],
            )


def _attempt(kind: Kind, digest: str) -> dict[str, object]:
    return {
        "service": "emulator", "kind": kind.value, "content_hash": digest, "number": 1,
        "state": State.SAVED.value, "api": "v4", "webhook_token": f"{kind.value}-{digest[:50]}",
        "remote_id": digest, "planned_at": NOW, "settled_at": NOW, "looks": 1,
    }  # fmt: skip


def _delivery(kind: Kind, row: ScriptRow, digest: str, ids: dict[str, int]) -> dict[str, object]:
    return {
        "service": "emulator", "script_key": row.key, "kind": kind.value, "content_hash": digest,
        "manifest": row.manifest, "asked_at": NOW, "changed_at": NOW, "attempt_id": ids[digest],
        "path": f"{kind.value}s/{row.key}", "saved_at": NOW, "media_seconds": 3.0,
    }  # fmt: skip


def test_one_percent_of_ten_thousand_rows_is_edited_and_exactly_these_are_work(
    ledger: Ledger, rows_of: RowsOf
) -> None:
    before = [plain_line(f"r{n}", f"Text {n}.") for n in range(10_000)]
    made(ledger, rows_of(*before))
    assert counts(look(ledger, rows_of(*before))) == {"done": 10_000}

    edited = list(before)
    texts, avatars = range(7, 10_000, 200), range(107, 10_000, 200)
    for n in texts:
        edited[n] = edited[n].replace("Text", "Words")
    for n in avatars:
        edited[n] = edited[n].replace("Jane_in_Blue_2024", "Omar_in_Green_2024")
    rows = rows_of(*edited)
    statuses = row_statuses(ledger, rows)
    assert keys_to_request(statuses) == [f"m.r{n}" for n in sorted([*texts, *avatars])]
    by_change = {change: [] for change in Change}
    for status in statuses:
        by_change[change_of(status)].append(status)
    assert [s.row.key for s in by_change[Change.CHANGED_VOICE]] == [f"m.r{n}" for n in texts]
    assert [s.row.key for s in by_change[Change.CHANGED_VIDEO]] == [f"m.r{n}" for n in avatars]
    assert {s.standing for s in by_change[Change.CHANGED_VOICE]} == {Standing.NEW}
    assert {s.standing for s in by_change[Change.CHANGED_VIDEO]} == {Standing.VOICE_READY}
    assert len(by_change[Change.DONE]) == 9_900

    seen = preview(statuses, PRICES, clones_apart=True)
    assert seen.to_request == 100
    assert seen.groups[Change.CHANGED_VIDEO].credits == 50 * 10.0  # no voice is paid again
    assert seen.groups[Change.CHANGED_VOICE].credits == pytest.approx(
        sum(10.0 + PRICES.speech(rows[n].script or "") for n in texts)
    )
    assert seen.groups[Change.DONE].credits == 0.0


def test_new_and_removed_rows(ledger: Ledger, rows_of: RowsOf) -> None:
    made(ledger, rows_of(plain_line("a"), plain_line("gone")))
    rows = rows_of(plain_line("a"), plain_line("b"))
    seen = look(ledger, rows, known=[*ledger.deliveries.keys_of("m"), "m.never-asked", "m.b"])
    assert counts(seen) == {"new": 1, "done": 1}
    assert seen.removed == ["m.gone", "m.never-asked"]
    assert ledger.deliveries.keys_of("other") == set()


def test_a_row_whose_voice_alone_was_made_before_an_edit_is_changed(
    ledger: Ledger, rows_of: RowsOf
) -> None:
    made(ledger, rows_of(plain_line("a")), videos_too=False)
    assert counts(look(ledger, rows_of(plain_line("a")))) == {"under_way": 1}
    assert counts(look(ledger, rows_of(plain_line("a", "Edited.")))) == {"changed_voice": 1}


def test_each_distinct_content_is_priced_once(ledger: Ledger, rows_of: RowsOf) -> None:
    words = "The same words for several rows. " * 20
    rows = rows_of(
        csv_line("a", script=words, voice_id="v", avatar_id="x"),
        csv_line("b", script=words, voice_id="v", avatar_id="x"),
        csv_line("c", script=words, voice_id="v", avatar_id="y"),
        csv_line("d", script="Others.", voice_id="v", avatar_id="x"),
    )
    voice, video = PRICES.speech(words.strip()), PRICES.avatar_video(len(words.strip()) / 14)
    seen = look(ledger, rows)
    rest = PRICES.speech("Others.") + 10.0
    assert seen.credits == pytest.approx(voice + 2 * video + rest)
    assert (seen.shares_video, seen.shares_voice) == (1, 1)
    assert seen.credits_shared == pytest.approx(2 * voice + video)
    assert seen.to_request == 4


def test_what_another_row_has_paid_costs_nothing_again(ledger: Ledger, rows_of: RowsOf) -> None:
    first = csv_line("a", script="Same.", voice_id="v", avatar_id="x")
    made(ledger, rows_of(first))
    rows = rows_of(
        first,
        csv_line("twin", script="Same.", voice_id="v", avatar_id="x"),
        csv_line("sister", script="Same.", voice_id="v", avatar_id="y"),
    )
    seen = look(ledger, rows)
    assert counts(seen) == {"new": 2, "done": 1}
    assert seen.credits == 10.0
    assert (seen.shares_video, seen.shares_voice) == (1, 1)
    assert seen.credits_shared == pytest.approx(10.0 + 2 * PRICES.speech("Same."))


def test_a_row_whose_video_another_row_asked_for_is_asked_for_as_well(
    ledger: Ledger, rows_of: RowsOf
) -> None:
    first = csv_line("a", script="Same.", voice_id="v", avatar_id="x")
    made(ledger, rows_of(first))
    (twin,) = row_statuses(ledger, rows_of(first.replace("a,", "twin,", 1)))
    assert twin.standing is Standing.FINISHED
    assert twin.may_be_asked_again  # else no run and no sensor would ever bring it its file
    assert "costs nothing" in twin.cause


def test_a_clone_is_priced_once_for_all_rows_of_its_sample(ledger: Ledger, rows_of: RowsOf) -> None:
    rows = rows_of(
        *(
            csv_line(
                name, script=f"I am {name}.", voice_sample_url="https://h/s.wav", avatar_id="x"
            )
            for name in ("a", "b", "c")
        )
    )
    speech = sum(PRICES.speech(row.script or "") for row in rows)
    statuses = row_statuses(ledger, rows)
    with_clone = preview(statuses, PRICES, clones_apart=True)
    assert with_clone.credits == pytest.approx(30.0 + speech + PRICES.voice_clone())
    without = preview(statuses, PRICES, clones_apart=False)
    assert without.credits == pytest.approx(30.0 + speech)


def test_own_audio_of_unknown_length_is_counted_and_not_priced(
    ledger: Ledger, rows_of: RowsOf
) -> None:
    rows = rows_of(csv_line("own", voice_url="https://h/a.mp3", avatar_id="x"))
    seen = look(ledger, rows)
    assert (seen.own_audio, seen.credits, seen.seconds) == (1, 0.0, 0.0)
    made(ledger, rows, videos_too=False)
    seen = look(ledger, rows)
    assert (seen.own_audio, seen.credits, seen.seconds) == (0, 10.0, 3.0)


def test_failed_and_doubtful_rows_are_priced_apart(ledger: Ledger, rows_of: RowsOf) -> None:
    rows = rows_of(*(plain_line(name) for name in ("failed", "again", "lost")))
    made(ledger, rows, videos_too=False)
    for row in rows:
        _ask_for_video(ledger, row, price=17.0)
    failed, again, lost = (
        ledger.attempts.latest(kind=Kind.VIDEO, content_hash=row.video_hash) for row in rows
    )
    assert failed is not None
    assert again is not None
    assert lost is not None
    ledger.attempts.refuse(failed.id, code=1003, reason="no", advice=None, try_again=False)
    ledger.attempts.refuse(again.id, code=1015, reason="later", advice=None, try_again=True)
    ledger.attempts.doubt(lost.id, reason="lost", advice=None)
    seen = look(ledger, rows)
    assert counts(seen) == {"failed": 2, "in_doubt": 1}
    assert seen.groups[Change.FAILED].to_request == 1
    assert seen.groups[Change.FAILED].credits == 10.0
    assert seen.groups[Change.FAILED].credits_left == 10.0
    assert seen.groups[Change.IN_DOUBT].credits_left == 17.0
    assert seen.credits == 10.0


def _ask_for_video(ledger: Ledger, row: ScriptRow, *, price: float) -> None:
    digest = row.video_hash
    ledger.deliveries.ask(script_key=row.key, kind=Kind.VIDEO, content_hash=digest)
    attempt = ledger.attempts.open_next(
        kind=Kind.VIDEO, content_hash=digest, api="talkingavatar", after=0, media_seconds=3.0
    )
    ledger.attempts.reserve(attempt.id, price=price, limits=Limits(max_in_flight=10))
    assert ledger.attempts.start_sending(attempt.id)


WORDS = ("One.", "Two words.", "Three words now. " * 9)
VOICES = (
    {"voice_id": "v"},
    {"voice_sample_url": "https://h/s.wav"},
    {"voice_sample_url": "https://h/t.wav"},
    {"voice_url": "https://h/a.mp3"},
)


@settings(max_examples=40)
@given(
    choices=st.lists(
        st.tuples(st.sampled_from(WORDS), st.sampled_from(VOICES), st.sampled_from("xy"))
    )
)
def test_of_new_rows_each_content_is_paid_once_and_the_rest_is_shared(
    tmp_path_factory: pytest.TempPathFactory,
    empty_ledger: Ledger,
    choices: list[tuple[str, dict[str, str], str]],
) -> None:
    lines = [
        csv_line(f"r{n}", script="" if "voice_url" in voice else words, avatar_id=avatar, **voice)
        for n, (words, voice, avatar) in enumerate(choices)
    ]
    folder = tmp_path_factory.mktemp("new")
    path = write_manifest(
        folder, "m", csv_line("z", script="Z.", voice_id="z", avatar_id="z"), *lines
    )
    rows = list(read_manifest(path).rows())
    seen = look(empty_ledger, rows)
    spoken = [row for row in rows if row.voice_url is None]
    seconds = [speech_seconds(row.script or "") for row in spoken]
    creates = [
        *((row.voice_hash, PRICES.speech(row.script or "")) for row in spoken),
        *((row.video_hash, PRICES.avatar_video(s)) for row, s in zip(spoken, seconds, strict=True)),
        *(
            (row.voice_sample_url, PRICES.voice_clone())
            for row in spoken
            if row.voice_sample_url is not None
        ),
    ]
    assert counts(seen) == {"new": len(rows)}
    assert seen.to_request == len(rows)
    assert seen.own_audio == len(rows) - len(spoken)
    assert seen.seconds == pytest.approx(sum(seconds))
    assert seen.credits == pytest.approx(sum(dict(creates).values()))
    assert seen.credits + seen.credits_shared == pytest.approx(sum(price for _, price in creates))
    assert seen.shares_video == len(rows) - len({row.video_hash for row in rows})
    videos, voices = set[str](), set[str]()
    voice_alone = 0
    for row in rows:
        is_known_voice = row.voice_hash in voices and row.voice_url is None
        voice_alone += is_known_voice and row.video_hash not in videos
        voices.add(row.voice_hash)
        videos.add(row.video_hash)
    assert seen.shares_voice == voice_alone
