import dagster as dg

from akool_dagster.emulator import Fault
from akool_dagster.ledger import Kind, State
from akool_dagster_tests.dagster_place import Place
from akool_dagster_tests.support import csv_line


def lines(place: Place, *names: str) -> list[str]:
    sample = f"{place.akool.url}/media/voices/George_en-GB.mp3"
    return [
        csv_line(
            name, script=f"This is {name}.", voice_sample_url=sample, avatar_id="Jane_in_Blue_2024"
        )
        for name in names
    ]


def voice_check(place: Place) -> dg.AssetCheckEvaluation:
    """What ``no_request_in_doubt`` of ``voice_files`` says at the next tick."""
    events = place.tick("video_info_sensor").asset_events
    (found,) = (
        event
        for event in events
        if isinstance(event, dg.AssetCheckEvaluation)
        and event.asset_key == dg.AssetKey("voice_files")
        and event.check_name == "no_request_in_doubt"
    )
    return found


def test_a_clone_in_doubt_shows_beside_the_voices_until_a_person_settles_it(place: Place) -> None:
    place.put_valid_manifest("m", *lines(place, "a", "b", "c"))
    place.tick("new_scripts_sensor")
    place.instance.add_dynamic_partitions("scripts", ["m.a", "m.b", "m.c"])
    place.akool.emulator.faults.add(Fault(kind="drop", on="POST */voice/clone", next=1))
    assert not place.run_range("generate_videos", "m.a", "m.c").success
    failed = voice_check(place)
    assert not failed.passed
    assert "3 scripts wait for a person's word; up to 5 credits" in (failed.description or "")
    assert "`akool-dagster resolve KEY --clone --clone-id ID`" in (failed.description or "")
    assert "m.b" in str(failed.metadata["which"].value)

    (job,) = place.akool.emulator.jobs("clone")
    with place.ledger() as ledger:
        (doubt,) = ledger.attempts.in_states(kind=Kind.CLONE, states=[State.IN_DOUBT])
        ledger.attempts.accept(doubt.id, remote_id=job.id, next_look_at=0.0)
    place.akool.emulator.clock.advance(600)
    assert voice_check(place).passed
    with place.ledger() as ledger:
        # The sensor looks after clones whose run has ended, too.
        assert ledger.attempts.get(doubt.id).state is State.COMPLETED
    assert place.run_range("generate_videos", "m.a", "m.c").success
    assert place.akool.emulator.stats().accepted["clone"] == 1
    assert place.metadata("voice_files", "m.a")["way"] == "cloned sample"


def test_the_catalog_tells_how_many_cloned_voices_are_held(place: Place) -> None:
    place.put_valid_manifest("m", *lines(place, "a"))
    place.instance.add_dynamic_partitions("scripts", ["m.a"])
    assert place.run("generate_videos", partition_key="m.a").success
    result = place.run("refresh_catalogs")
    assert result.success
    (event,) = result.asset_materializations_for_node("voice_catalog")
    assert event.metadata["cloned_voices_held"].value == 1
