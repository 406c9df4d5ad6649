from akool_dagster.ledger import Delivery, Kind, Ledger
from akool_dagster_tests.ledger.conftest import Clock
from akool_dagster_tests.ledger.test_attempts import accepted, completed, failed, opened


def asked(ledger: Ledger, key: str, content: str) -> Delivery:
    return ledger.deliveries.ask(script_key=key, kind=Kind.VIDEO, content_hash=content)


def saved(ledger: Ledger, delivery: Delivery, *, attempt_id: int) -> None:
    ledger.deliveries.saved(
        delivery.id, attempt_id=attempt_id, path="videos/m/a.mp4", sha256="f" * 64,
        size_bytes=9, media_seconds=3.0,
    )  # fmt: skip


def test_asking_twice_is_asking_once(ledger: Ledger) -> None:
    assert asked(ledger, "m.a", "h").id == asked(ledger, "m.a", "h").id
    assert asked(ledger, "m.a", "edited").id != asked(ledger, "m.a", "h").id


def test_settled_rows_wait_until_they_are_saved_or_shown(ledger: Ledger, clock: Clock) -> None:
    done, broken = completed(ledger, "done"), failed(ledger, "broken")
    accepted(ledger, "under way")
    good, twin = asked(ledger, "m.good", "done"), asked(ledger, "m.twin", "done")
    bad = asked(ledger, "m.bad", "broken")
    asked(ledger, "m.running", "under way")

    waiting = {w.delivery.script_key for w in ledger.deliveries.waiting(now=clock.now)}
    assert waiting == {"m.good", "m.twin", "m.bad"}

    saved(ledger, good, attempt_id=done.id)
    ledger.attempts.save(done.id, media_seconds=3.0)
    ledger.deliveries.failure_shown(bad.id, attempt_id=broken.id)
    ledger.deliveries.not_before([twin.id], next_try_at=clock.now + 60)
    assert ledger.deliveries.waiting(now=clock.now) == []
    (left,) = ledger.deliveries.waiting(now=clock.now + 60)
    assert left.delivery.script_key == "m.twin"


def test_a_new_attempt_makes_the_row_wait_again(ledger: Ledger, clock: Clock) -> None:
    first = failed(ledger, "h")
    row = asked(ledger, "m.a", "h")
    ledger.deliveries.failure_shown(row.id, attempt_id=first.id)
    opened(ledger, "h", after=1)
    assert ledger.deliveries.waiting(now=clock.now) == []


def test_a_run_is_to_be_failed_once_all_its_videos_are_settled(ledger: Ledger) -> None:
    for key, attempt in {
        "m.a": failed(ledger, "a"),
        "m.b": accepted(ledger, "b", remote_id="b"),
    }.items():
        ledger.deliveries.requested(attempt_id=attempt.id, script_key=key, run_id="run-1")
    good = completed(ledger, "c")
    ledger.deliveries.requested(attempt_id=good.id, script_key="m.c", run_id="run-2")
    assert ledger.deliveries.runs_to_fail() == []

    under_way = ledger.attempts.latest(kind=Kind.VIDEO, content_hash="b")
    assert under_way is not None
    ledger.attempts.complete(
        under_way.id, url="u", url_expires_at=9e9, spent_credits=None, media_seconds=None, answer={}
    )
    (failure,) = ledger.deliveries.runs_to_fail()
    assert (failure.run_id, failure.asked_for) == ("run-1", 2)
    assert [key for key, _ in failure.failures] == ["m.a"]

    ledger.deliveries.run_marked("run-1")
    ledger.deliveries.run_marked("run-1")
    assert ledger.deliveries.runs_to_fail() == []


def test_a_retry_does_not_hide_the_run_that_failed_first(ledger: Ledger) -> None:
    first = failed(ledger, "a")
    ledger.deliveries.requested(attempt_id=first.id, script_key="m.a", run_id="run-1")
    second = opened(ledger, "a", after=1)
    ledger.deliveries.requested(attempt_id=second.id, script_key="m.a", run_id="run-2")
    assert [failure.run_id for failure in ledger.deliveries.runs_to_fail()] == ["run-1"]


def test_lookups_tell_edited_rows_from_unchanged_ones(ledger: Ledger) -> None:
    asked(ledger, "m.same", "h1")
    asked(ledger, "m.edited", "old")
    wanted = {"m.same": "h1", "m.edited": "new", "m.new": "h3"}
    found = ledger.deliveries.find_many(kind=Kind.VIDEO, content_by_key=wanted)
    other = ledger.deliveries.keys_with_other_content(kind=Kind.VIDEO, content_by_key=wanted)
    assert (set(found), other) == ({"m.same"}, {"m.edited"})


def test_news_are_told_per_manifest(ledger: Ledger, clock: Clock) -> None:
    row = asked(ledger, "m1.a", "h")
    clock.now += 10
    asked(ledger, "m2.a", "h")
    clock.now += 10
    ledger.deliveries.not_saved(row.id, problem="disk full")
    assert ledger.deliveries.last_changes() == {"m1": clock.now, "m2": clock.now - 10}
