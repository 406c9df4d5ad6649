"""Voices and avatars are looked up before anything is spent."""

import dataclasses
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from akool_dagster.akool import (
    AkoolClient,
    ApiKey,
    AvatarKind,
    AvatarSource,
    AvatarUpload,
    Status,
)
from akool_dagster.batch.catalogs.avatar_book import (
    AvatarBook,
    KnownAvatar,
    avatar_table,
    list_avatars,
)
from akool_dagster.batch.catalogs.check import SavedCatalogs, check_rows, saved_catalogs
from akool_dagster.batch.catalogs.files import Stamp, save_catalog
from akool_dagster.batch.catalogs.listing import FAILURE_SECONDS, CatalogUnreadable
from akool_dagster.batch.catalogs.voice_book import KnownVoice, VoiceBook
from akool_dagster.batch.outcomes import Outcome, Trouble
from akool_dagster.batch.stages import STAGES, Stage
from akool_dagster.batch.stages.avatar import upload_avatars
from akool_dagster.batch.tools import Tools
from akool_dagster.batch.walk import Walk
from akool_dagster.emulator import Fault, RunningEmulator, serve
from akool_dagster.manifest import ScriptRow
from akool_dagster.manifest.avatars_file import OwnAvatar
from akool_dagster_tests.support import QUICK, csv_line, opened_tools, plain_line, quick_rules

RowsOf = Callable[..., list[ScriptRow]]

JANE = "Jane_in_Blue_2024"


def walk(tools: Tools, rows: Sequence[ScriptRow], *stages: Stage) -> list[Outcome]:
    return list(Walk(tools, run_id="run").outcomes(rows, stages=stages or STAGES))


def line(name: str, *, voice: str = "Emma_en-US", avatar: str = JANE) -> str:
    return csv_line(name, script=f"This is {name}.", voice_id=voice, avatar_id=avatar)


def sent(akool: RunningEmulator) -> int:
    return sum(akool.emulator.stats().received.values())


def lists(akool: RunningEmulator) -> dict[str, int]:
    requests = akool.emulator.stats().requests
    return {path: count for path, count in requests.items() if path.endswith("/list")}


def upload(tools: Tools, avatar_id: str = "Kim01", name: str = "Kim") -> None:
    """Uploads as custom_avatars does."""
    avatar = OwnAvatar(
        avatar_id=avatar_id, name=name, url="https://media.example/kim.mp4",
        is_streaming=False, is_platform_link=False, line=2,
    )  # fmt: skip
    assert all(out.ok for out in upload_avatars(tools, [avatar], run_id="upload"))


def upload_by_hand(tools: Tools, avatar_id: str = "Kim01", name: str = "Kim") -> None:
    tools.client.create_avatar(
        AvatarUpload(url="https://media.example/kim.mp4", avatar_id=avatar_id, name=name)
    )


# -- rows ----------------------------------------------------------------------------------


def test_typos_fail_at_the_first_stage_and_nothing_is_sent(
    tools: Tools, emulator: RunningEmulator, rows_of: RowsOf
) -> None:
    outcomes = walk(
        tools,
        rows_of(
            line("by-id", avatar="jane_in_blu_2024"),
            line("by-name", avatar="Jane in Blue"),
            line("voice", voice="Emma_en_US"),
            line("voice-name", voice="camille"),
            line("nothing-like-it", avatar="zzzzzzzzzzzzzzzz"),
        ),
    )
    assert {(out.stage, out.trouble) for out in outcomes} == {(Stage.VOICE, Trouble.ROW)}
    told = {out.key: out.text for out in outcomes}
    assert "Did you mean Jane_in_Blue_2024" in told["m.by-id"]
    assert "Did you mean Jane_in_Blue_2024" in told["m.by-name"]
    assert "Emma_en-US" in told["m.voice"]
    assert "AKOOL_VOICE_API=v4" in told["m.voice"]
    assert "Camille_fr-FR" in told["m.voice-name"]
    assert "Did you mean" not in told["m.nothing-like-it"]
    assert all(text.endswith("Nothing was sent.") for text in told.values())
    assert sent(emulator) == 0
    assert all(count <= 3 for count in lists(emulator).values())  # the pages of one reading each


def test_ids_that_akool_does_not_list_may_be_tried(tmp_path: Path, rows_of: RowsOf) -> None:
    config = dataclasses.replace(QUICK, accept_unknown_ids=True)
    with serve(config) as akool, opened_tools(
        akool, tmp_path, rules=quick_rules(unlisted_ids="try")
    ) as tools:  # fmt: skip
        outcomes = walk(tools, rows_of(line("shared", voice="Voice_of_Kim", avatar="KimOfSales")))
        assert all(out.ok for out in outcomes)
        assert sent(akool) == 2


def test_a_row_with_audio_of_its_own_is_checked_for_its_avatar_only(
    tools: Tools, emulator: RunningEmulator, rows_of: RowsOf
) -> None:
    audio = f"{emulator.url}/media/voices/Olivia_en-GB.mp3"
    bad, good = walk(
        tools,
        rows_of(
            csv_line("bad", voice_url=audio, avatar_id="Jan"),
            csv_line("good", voice_url=audio, avatar_id=JANE),
        ),
        Stage.VOICE,
    )
    assert (bad.key, bad.trouble, good.ok) == ("m.bad", Trouble.ROW, True)
    assert not any("voice/list" in path for path in lists(emulator))


@pytest.mark.parametrize("api", ["v4", "v3"])
def test_a_voice_may_be_named_by_either_id_of_its_own_generation(
    api: str, emulator: RunningEmulator, tmp_path: Path, rows_of: RowsOf
) -> None:
    with opened_tools(emulator, tmp_path, rules=quick_rules(voice_api=api)) as tools:
        record_id = tools.client.list_voices("v4")[0].record_id or ""
        assert walk(tools, rows_of(line("a", voice=record_id)), Stage.VOICE)[0].ok


def test_what_was_made_is_not_refused_when_akool_withdraws_the_avatar(
    tools: Tools, emulator: RunningEmulator, rows_of: RowsOf
) -> None:
    rows = rows_of(line("a"))
    assert all(out.ok for out in walk(tools, rows))
    withdrawn = dataclasses.replace(
        tools, avatars=book(known("Other")), voices=VoiceBook(api="v4", fetch=list)
    )
    assert all(out.ok for out in walk(withdrawn, rows))


@pytest.mark.parametrize("which", ["avatar", "voice"])
def test_a_list_that_cannot_be_read_sends_nothing_and_is_asked_for_once(
    which: str, tools: Tools, emulator: RunningEmulator, rows_of: RowsOf
) -> None:
    pattern = f"GET */{which}/list"
    emulator.emulator.faults.add(Fault(kind="status", on=pattern, status=403))
    outcomes = walk(tools, rows_of(*(line(f"r{number}") for number in range(20))))
    assert {(out.stage, out.trouble) for out in outcomes} == {(Stage.VOICE, Trouble.LATER)}
    assert f"AKOOL's list of {which}s could not be read" in outcomes[0].text
    assert outcomes[0].text.endswith("Nothing was sent.")
    assert sent(emulator) == 0
    assert [count for path, count in lists(emulator).items() if which in path] == [1]


# -- own avatars ---------------------------------------------------------------------------


@pytest.fixture
def slow(emulator: RunningEmulator, tmp_path: Path) -> Iterator[Tools]:
    rules = quick_rules(poll_seconds=0.02)
    with opened_tools(emulator, tmp_path, rules=rules) as opened:
        yield opened


def test_a_row_waits_for_its_own_avatar_before_its_voice_is_paid(
    slow: Tools, emulator: RunningEmulator, rows_of: RowsOf
) -> None:
    upload(slow, name="[[avatar:slow 36000]]")
    kim, jane = rows_of(line("kim", avatar="Kim01"), line("jane"))
    steps = Walk(slow, run_id="run").outcomes([kim, jane], stages=STAGES)
    assert [next(steps).key for _ in STAGES] == ["m.jane"] * 3
    assert emulator.emulator.stats().received["voice"] == 1
    emulator.emulator.clock.advance(40_000)
    assert [(out.key, out.ok) for out in steps] == [("m.kim", True)] * 3


def test_an_avatar_uploaded_by_hand_is_waited_for_as_well(
    tools: Tools, emulator: RunningEmulator, rows_of: RowsOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("akool_dagster.batch.catalogs.avatar_book.LOOK_AGAIN_SECONDS", 0.1)
    upload_by_hand(tools)
    assert all(out.ok for out in walk(tools, rows_of(line("a", avatar="Kim01"))))
    assert emulator.emulator.stats().requests["GET /api/open/v3/avatar/detail"] >= 2


@pytest.mark.parametrize("by_hand", [True, False])
def test_fail_says_at_once_that_the_avatar_is_not_ready(
    *, by_hand: bool, emulator: RunningEmulator, tmp_path: Path, rows_of: RowsOf
) -> None:
    rules = quick_rules(avatar_not_ready="fail")
    with opened_tools(emulator, tmp_path, rules=rules) as tools:
        (upload_by_hand if by_hand else upload)(tools, name="[[avatar:stuck]]")
        (outcome,) = walk(tools, rows_of(line("a", avatar="Kim01")))
    assert (outcome.stage, outcome.trouble) == (Stage.VOICE, Trouble.LATER)
    assert "Your own avatar Kim01 is not ready: AKOOL still works on it." in outcome.text
    assert "voice" not in emulator.emulator.stats().received


def test_waiting_for_an_avatar_has_an_end(
    emulator: RunningEmulator, tmp_path: Path, rows_of: RowsOf
) -> None:
    rules = quick_rules(poll_seconds=0.02, render_deadline_seconds=0.3)
    with opened_tools(emulator, tmp_path, rules=rules) as tools:
        upload(tools, name="[[avatar:stuck]]")
        began = time.monotonic()
        (outcome,) = walk(tools, rows_of(line("a", avatar="Kim01")))
    assert time.monotonic() - began < 5
    assert (outcome.stage, outcome.trouble) == (Stage.VOICE, Trouble.LATER)
    assert "after 8.33333e-05 hours of waiting" in outcome.text
    assert "voice" not in emulator.emulator.stats().received


@pytest.mark.parametrize("by_hand", [True, False])
def test_a_failed_avatar_fails_its_rows_with_akools_words(
    *, by_hand: bool, slow: Tools, emulator: RunningEmulator, rows_of: RowsOf
) -> None:
    (upload_by_hand if by_hand else upload)(slow, name="[[avatar:failed 1220 no face]]")
    emulator.emulator.clock.advance(3600)
    (outcome,) = walk(slow, rows_of(line("a", avatar="Kim01")))
    assert (outcome.stage, outcome.trouble) == (Stage.VOICE, Trouble.ROW)
    assert "no face" in outcome.text
    assert "voice" not in emulator.emulator.stats().received


def test_many_rows_that_wait_for_one_avatar_share_its_looks(
    slow: Tools, emulator: RunningEmulator, rows_of: RowsOf
) -> None:
    upload(slow, name="[[avatar:slow 120]]")
    rows = rows_of(*(line(f"r{number}", avatar="Kim01") for number in range(40)))
    assert all(out.ok for out in walk(slow, rows, Stage.VOICE))
    assert emulator.emulator.stats().requests["GET /api/open/v3/avatar/detail"] < 15


def test_an_avatar_that_was_never_uploaded_is_told_from_a_typo(
    tools: Tools, emulator: RunningEmulator, rows_of: RowsOf, tmp_path: Path
) -> None:
    (tmp_path / "avatars.csv").write_text("avatar_id,url\nKim01,https://media.example/k.mp4\n")
    (outcome,) = walk(tools, rows_of(line("a", avatar="Kim01")))
    assert outcome.trouble is Trouble.LATER
    assert "stands in avatars.csv and was not uploaded yet" in outcome.text
    assert "custom_avatars" in outcome.advice
    assert sent(emulator) == 0


def test_a_doubtful_upload_is_told_to_its_rows(
    tools: Tools, emulator: RunningEmulator, rows_of: RowsOf
) -> None:
    emulator.emulator.faults.add(
        Fault(kind="drop", on="POST */avatar/create", next=1, when="before")
    )
    avatar = OwnAvatar(
        avatar_id="Kim01", name="Kim", url="https://media.example/kim.mp4",
        is_streaming=False, is_platform_link=False, line=2,
    )  # fmt: skip
    list(upload_avatars(tools, [avatar], run_id="upload"))
    (outcome,) = walk(tools, rows_of(line("a", avatar="Kim01")))
    assert "its upload is in doubt" in outcome.text
    assert "custom_avatars" in outcome.advice


# -- the books -------------------------------------------------------------------------------


def known(avatar_id: str, **changes: object) -> KnownAvatar:
    return KnownAvatar(avatar_id=avatar_id, **changes)  # type: ignore[arg-type]


def book(*avatars: KnownAvatar) -> AvatarBook:
    """A book that was saved just now."""
    return AvatarBook(
        saved={avatar.avatar_id: avatar for avatar in avatars}, saved_at=time.time(), fetch=list
    )


def test_official_avatars_are_never_refused_for_their_status(tools: Tools, rows_of: RowsOf) -> None:
    states = [*Status, None]
    official = [known(f"Official{number}", status=state) for number, state in enumerate(states)]
    lines = [line(f"r{number}", avatar=a.avatar_id) for number, a in enumerate(official)]
    listed = dataclasses.replace(tools, avatars=book(*official))
    outcomes = walk(listed, rows_of(*lines), Stage.VOICE)
    assert [out.report for out in outcomes if not out.ok] == []
    assert len(outcomes) == len(states)


def test_a_disabled_avatar_or_voice_is_refused(
    tools: Tools, emulator: RunningEmulator, rows_of: RowsOf
) -> None:
    shut = dataclasses.replace(
        tools,
        avatars=book(known("Shut", is_disabled=True), known(JANE)),
        voices=VoiceBook(
            api="v4",
            saved={
                "mute": KnownVoice(voice_id="mute", is_disabled=True),
                "half": KnownVoice(voice_id="half", is_own=True, status=Status.PROCESSING),
                "dead": KnownVoice(voice_id="dead", is_own=True, status=Status.FAILED),
                "Emma_en-US": KnownVoice(voice_id="Emma_en-US", status=Status.QUEUED),
            },
            saved_at=time.time(),
            fetch=list,
        ),
    )
    rows = rows_of(
        line("a", avatar="Shut"), line("b", voice="mute"), line("c", voice="half"),
        line("d", voice="dead"),
    )  # fmt: skip
    told = {out.key: (out.trouble, out.text) for out in walk(shut, rows)}
    assert {key: trouble for key, (trouble, _) in told.items()} == {
        "m.a": Trouble.ROW, "m.b": Trouble.ROW, "m.c": Trouble.LATER, "m.d": Trouble.ROW,
    }  # fmt: skip
    assert "is disabled at AKOOL" in told["m.a"][1]
    assert "still making" in told["m.c"][1]
    assert sent(emulator) == 0
    assert walk(shut, rows_of(line("e")), Stage.VOICE)[0].ok


@pytest.mark.parametrize(("hours", "readings"), [(23, 0), (25, 1)])
def test_a_catalog_older_than_a_day_is_read_anew_first(
    hours: int, readings: int, emulator: RunningEmulator, tmp_path: Path
) -> None:
    with AkoolClient(ApiKey(emulator.api_key), base_url=emulator.url) as client:
        stamp = Stamp(service="emulator", read_at=time.time() - hours * 3600)
        table = avatar_table(list_avatars(client), stamp=stamp)
    before = sum(lists(emulator).values())
    with opened_tools(emulator, tmp_path) as tools:
        save_catalog(tools.storage, "avatars", table)
        assert tools.avatars.find(JANE) is not None
        assert tools.avatars.find(JANE) is not None
        assert sum(lists(emulator).values()) - before == readings
        again = saved_catalogs(tools.storage, service="emulator", voice_api="v4")
        age = time.time() - (again.avatars_at or 0.0)
        assert age < 60 if readings else age > 80_000


def test_an_id_that_a_fresh_catalog_lacks_is_looked_for_at_akool_once(
    emulator: RunningEmulator, tmp_path: Path
) -> None:
    with opened_tools(emulator, tmp_path) as tools:
        stamp = Stamp(service="emulator", read_at=time.time())
        save_catalog(
            tools.storage, "avatars", avatar_table(list_avatars(tools.client), stamp=stamp)
        )
        upload_by_hand(tools)
        found = tools.avatars.find("Kim01")
        assert found is not None
        assert found.is_own
        readings = sum(lists(emulator).values())
        assert tools.avatars.find("Kim02") is None
        assert sum(lists(emulator).values()) == readings


@pytest.mark.parametrize("change", [{"service": "openapi.akool.com"}, {"api": "v3"}])
def test_a_catalog_of_something_else_is_not_relied_on(change: dict[str, str], tools: Tools) -> None:
    stamp = Stamp(**{"service": "emulator", "read_at": time.time(), "api": "", **change})  # type: ignore[arg-type]
    table = avatar_table(list_avatars(tools.client), stamp=stamp)
    save_catalog(tools.storage, "avatars", table)
    assert saved_catalogs(tools.storage, service="emulator", voice_api="v4").avatars_at is None


def test_a_damaged_catalog_is_read_anew(tools: Tools, tmp_path: Path) -> None:
    (tmp_path / "catalogs").mkdir()
    (tmp_path / "catalogs" / "avatars.parquet").write_bytes(b"not parquet")
    assert tools.avatars.find(JANE) is not None


def test_a_reading_that_failed_is_tried_again_after_a_while() -> None:
    now, calls = [0.0], [0]

    def fetch() -> list:
        calls[0] += 1
        return []

    empty = AvatarBook(fetch=fetch, clock=lambda: now[0])
    for _ in range(3):
        with pytest.raises(CatalogUnreadable, match="came back empty"):
            empty.find(JANE)
    assert calls == [1]
    now[0] = FAILURE_SECONDS
    with pytest.raises(CatalogUnreadable):
        empty.find(JANE)
    assert calls == [2]


def test_own_streaming_avatars_are_listed_and_official_ones_are_not(tools: Tools) -> None:
    upload_by_hand(tools)
    listed = {a.avatar_id: KnownAvatar.from_listed(a) for a in list_avatars(tools.client)}
    assert listed["Kim01"].is_own
    assert not any(avatar_id.endswith("_live") for avatar_id in listed)


@pytest.mark.parametrize(
    ("kind", "status", "ready"),
    [(1, 1, False), (1, 2, False), (1, 3, True), (1, 4, False), (1, None, True),
     (2, 3, True), (2, 1, False), (2, None, False), (None, None, True)],
)  # fmt: skip
def test_an_own_avatar_is_ready_at_status_3(
    kind: int | None, status: int | None, *, ready: bool
) -> None:
    avatar = known(
        "Kim01",
        source=AvatarSource.OWN,
        kind=kind and AvatarKind(kind),
        status=status and Status(status),
    )
    assert avatar.is_ready is ready


# -- many rows -------------------------------------------------------------------------------


def test_many_rows_are_checked_without_the_network(
    tools: Tools, emulator: RunningEmulator, rows_of: RowsOf, tmp_path: Path
) -> None:
    rows = rows_of(
        plain_line("good"), line("typo", voice="Emma_en_US", avatar="Jane_in_Blu_2024"),
        line("mine", avatar="Kim01"),
    )  # fmt: skip
    assert check_rows(rows, saved_catalogs(tools.storage, service="emulator", voice_api="v4")) == {}
    assert tools.avatars.find(JANE) is not None
    assert tools.voices is not None
    assert tools.voices.find("Emma_en-US") is not None
    (tmp_path / "avatars.csv").write_text("avatar_id,url\nKim01,https://media.example/k.mp4\n")

    before = dict(emulator.emulator.stats().requests)
    saved = saved_catalogs(tools.storage, service="emulator", voice_api="v4")
    problems = check_rows(rows, saved)
    assert dict(emulator.emulator.stats().requests) == before
    assert set(problems) == {"m.typo", "m.mine"}
    voice, avatar = problems["m.typo"]
    assert "Emma_en-US" in voice
    assert "Jane_in_Blue_2024" in avatar
    assert "not at AKOOL yet" in problems["m.mine"][0]


def test_each_of_ten_thousand_typos_is_found(rows_of: RowsOf) -> None:
    (row,) = rows_of(line("a", voice="Emma_en_US", avatar="Jane"))
    rows = [dataclasses.replace(row, key=f"m.{number}") for number in range(10_000)]
    catalogs = SavedCatalogs(
        avatars={f"Jane_{number}": known(f"Jane_{number}") for number in range(500)},
        voices={f"Emma_{number}": KnownVoice(voice_id=f"Emma_{number}") for number in range(500)},
    )
    assert set(check_rows(rows, catalogs)) == {row.key for row in rows}
