import math

from akool_dagster.ledger import Attempt, Kind, Ledger, Limits, State
from akool_dagster_tests.ledger.conftest import Clock

ROOMY = Limits(max_in_flight=100)


def sent(ledger: Ledger, content: str, *, kind: Kind = Kind.VIDEO) -> Attempt:
    attempt = ledger.attempts.open_next(
        kind=kind, content_hash=content, api="v4", after=0, media_seconds=40.0
    )
    ledger.attempts.reserve(attempt.id, price=1.0, limits=ROOMY)
    assert ledger.attempts.start_sending(attempt.id)
    return attempt


def accepted(ledger: Ledger, content: str, *, next_look_at: float = 0.0) -> Attempt:
    attempt = sent(ledger, content)
    return ledger.attempts.accept(attempt.id, remote_id=content, next_look_at=next_look_at)


def completed(ledger: Ledger, attempt: Attempt, *, unfinished_at: float | None = None) -> Attempt:
    return ledger.attempts.complete(
        attempt.id,
        url="http://media.test/v.mp4",
        url_expires_at=1e12,
        spent_credits=1.0,
        media_seconds=None,
        answer={},
        unfinished_at=unfinished_at,
    )


def call_back(ledger: Ledger, attempt: Attempt) -> None:
    ledger.callbacks.record(
        token=attempt.webhook_token,
        remote_id=attempt.remote_id or "",
        status=3,
        body_sha256="0" * 64,
    )


def test_changes_name_what_was_settled_or_called_back_about_since(
    ledger: Ledger, ledger_url: str, clock: Clock
) -> None:
    first, second, third = (accepted(ledger, name) for name in ("one", "two", "three"))
    mark = ledger.changes.mark()
    assert ledger.changes.since(mark) == (frozenset(), mark)

    completed(ledger, first)
    call_back(ledger, second)
    sent(ledger, "four")  # no news for anybody who waits for AKOOL
    with Ledger.open(ledger_url, service="another", clock=clock) as another:
        completed(another, accepted(another, "theirs"))

    changed, mark = ledger.changes.since(mark)
    assert changed == {first.id, second.id}
    assert ledger.changes.since(mark)[0] == frozenset()
    ledger.attempts.fail(
        third.id, code=1205, reason="no", advice=None, spent_credits=0.0, answer=None
    )
    assert ledger.changes.since(mark)[0] == {third.id}


def test_a_doubt_holds_its_slot_for_as_long_as_the_limits_say(ledger: Ledger, clock: Clock) -> None:
    limits = Limits(max_in_flight=3, doubt_seconds=500.0)
    doubted = sent(ledger, "one")
    ledger.attempts.doubt(doubted.id, reason="time-out", advice=None)
    accepted(ledger, "two")
    assert ledger.attempts.free_slots(limits) == 1
    clock.now += 501
    assert ledger.attempts.free_slots(limits) == 2
    assert ledger.attempts.free_slots(Limits(max_in_flight=3)) == 1
    assert ledger.attempts.free_slots(Limits(max_in_flight=1)) == 0


def test_render_times_tell_between_which_looks_a_job_ended(ledger: Ledger, clock: Clock) -> None:
    began = clock.now
    looked_at = accepted(ledger, "looked at", next_look_at=began + 100)
    called_back = accepted(ledger, "called back")
    night, under_way = accepted(ledger, "a night"), accepted(ledger, "under way")
    ledger.attempts.fail(
        accepted(ledger, "failed").id, code=1, reason="no", advice=None, spent_credits=0.0,
        answer=None,
    )  # fmt: skip

    clock.now = began + 100
    assert ledger.attempts.claim_look(looked_at, next_look_at=began + 150)
    before_last = ledger.attempts.get(looked_at.id)
    assert before_last.unfinished_at == began + 100
    clock.now = began + 120
    call_back(ledger, called_back)
    clock.now = began + 150
    assert ledger.attempts.claim_look(before_last, next_look_at=began + 200)
    completed(ledger, looked_at, unfinished_at=before_last.unfinished_at)
    completed(ledger, called_back, unfinished_at=None)
    clock.now = began + 30_000
    completed(ledger, night)
    clock.now = began + 30_100

    times = ledger.render_times.latest(Kind.VIDEO, finished=10)
    assert [(t.least_seconds, t.most_seconds, t.called_back) for t in times] == [
        (0.0, math.inf, False),
        (0.0, 30_000.0, False),
        (120.0, 120.0, True),
        (100.0, 150.0, False),
    ]
    assert ledger.attempts.get(under_way.id).state is State.ACCEPTED
    assert len(ledger.render_times.latest(Kind.VIDEO, finished=1)) == 2
    assert ledger.render_times.latest(Kind.VOICE, finished=10) == []
