"""What callbacks do to attempts, in every state and in every order."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from sqlalchemy.exc import IntegrityError

from akool_dagster.ledger import Attempt, Effect, Kind, Ledger, Limits, Receipt, State
from akool_dagster_tests.ledger.conftest import Clock

ROOMY = Limits(max_in_flight=100)
Make = Callable[[Ledger], Attempt]


def planned(ledger: Ledger, content: str = "a", *, kind: Kind = Kind.VIDEO) -> Attempt:
    return ledger.attempts.open_next(
        kind=kind, content_hash=content, api="v4", after=0, media_seconds=3.0
    )


def reserved(ledger: Ledger, content: str = "a", *, kind: Kind = Kind.VIDEO) -> Attempt:
    attempt = planned(ledger, content, kind=kind)
    held = ledger.attempts.reserve(attempt.id, price=10.0, limits=ROOMY)
    assert isinstance(held, Attempt)
    return held


def sending(ledger: Ledger, content: str = "a", *, kind: Kind = Kind.VIDEO) -> Attempt:
    attempt = reserved(ledger, content, kind=kind)
    assert ledger.attempts.start_sending(attempt.id)
    return ledger.attempts.get(attempt.id)


def doubted(ledger: Ledger, content: str = "a", *, kind: Kind = Kind.VIDEO) -> Attempt:
    attempt = sending(ledger, content, kind=kind)
    return ledger.attempts.doubt(attempt.id, reason="time-out", advice=None)


def accepted(
    ledger: Ledger, content: str = "a", *, remote_id: str = "r1", next_look_at: float = 9e9
) -> Attempt:
    attempt = sending(ledger, content)
    return ledger.attempts.accept(attempt.id, remote_id=remote_id, next_look_at=next_look_at)


def refused(ledger: Ledger) -> Attempt:
    return ledger.attempts.refuse(
        sending(ledger).id, code=1003, reason="no", advice=None, try_again=False
    )


def failed(ledger: Ledger) -> Attempt:
    return ledger.attempts.fail(
        accepted(ledger).id, code=1205, reason="no", advice=None, spent_credits=None, answer=None
    )


def completed(ledger: Ledger) -> Attempt:
    return ledger.attempts.complete(
        accepted(ledger).id, url="http://x/v.mp4", url_expires_at=9e9, spent_credits=7.0,
        media_seconds=None, answer={},
    )  # fmt: skip


def saved(ledger: Ledger) -> Attempt:
    return ledger.attempts.save(completed(ledger).id, media_seconds=3.0)


def expired(ledger: Ledger) -> Attempt:
    return ledger.attempts.expire(completed(ledger).id, reason="dead", advice=None)


def told(
    ledger: Ledger, attempt: Attempt, *, remote_id: str = "r1", status: int = 3, body: str = "0"
) -> Receipt:
    return ledger.callbacks.record(
        token=attempt.webhook_token, remote_id=remote_id, status=status, body_sha256=body * 64
    )


@pytest.mark.parametrize("status", [2, 3, 4])
@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize("make", [sending, doubted], ids=lambda make: make.__name__)
def test_an_id_proves_that_the_create_was_taken(
    ledger: Ledger, clock: Clock, make: Callable[..., Attempt], kind: Kind, status: int
) -> None:
    attempt = make(ledger, kind=kind)
    clock.now += 5
    receipt = told(ledger, attempt, status=status)
    assert (receipt.news.effect, receipt.is_new) == (Effect.PROVED, True)

    now = ledger.attempts.get(attempt.id)
    assert (now.state, now.remote_id) == (State.ACCEPTED, "r1")
    assert (now.next_look_at, now.looks, now.url) == (clock.now, 0, None)
    due = ledger.attempts.due_looks(kind=kind, now=clock.now, limit=9)
    assert [found.id for found in due] == [attempt.id]
    last = ledger.attempts.history(attempt.id)[-1]
    assert (last.before, last.after) == (attempt.state, State.ACCEPTED)
    assert f"r1, proved by its callback (status {status})" in (last.detail or "")


def test_a_callback_before_the_answer_does_not_disturb_the_sender(
    ledger: Ledger, clock: Clock
) -> None:
    attempt = sending(ledger)
    told(ledger, attempt)
    clock.now += 1
    before = ledger.attempts.get(attempt.id), ledger.attempts.history(attempt.id)
    same = ledger.attempts.accept(attempt.id, remote_id="r1", next_look_at=clock.now + 60)
    assert (same, ledger.attempts.history(attempt.id)) == before


def test_after_a_callback_the_senders_other_endings_change_nothing(ledger: Ledger) -> None:
    attempt = sending(ledger)
    told(ledger, attempt)
    before = ledger.attempts.get(attempt.id)
    ledger.attempts.doubt(attempt.id, reason="dropped", advice=None)
    ledger.attempts.refuse(attempt.id, code=1, reason="no", advice=None, try_again=False)
    ledger.attempts.accept(attempt.id, remote_id="r2", next_look_at=0.0)
    assert ledger.attempts.get(attempt.id) == before


def test_an_accepted_attempt_is_looked_at_now_and_nothing_else(
    ledger: Ledger, clock: Clock
) -> None:
    attempt = accepted(ledger)
    clock.now += 5
    for status in (2, 3, 4):
        assert told(ledger, attempt, status=status).news.effect is Effect.LOOK
    now = ledger.attempts.get(attempt.id)
    assert now.next_look_at == clock.now
    assert now.state is State.ACCEPTED
    assert now.looks == 0  # looks in vain are limited, so a callback must not count as one
    assert len(ledger.attempts.history(attempt.id)) == 4


def test_a_look_that_is_due_already_is_not_put_off(ledger: Ledger, clock: Clock) -> None:
    due_since = clock.now - 30
    attempt = accepted(ledger, next_look_at=due_since)
    told(ledger, attempt)
    assert ledger.attempts.get(attempt.id).next_look_at == due_since
    assert ledger.attempts.claim_look(attempt, next_look_at=clock.now + 60)


@pytest.mark.parametrize(
    ("make", "effect"),
    [
        (planned, Effect.CONFLICT), (reserved, Effect.CONFLICT), (refused, Effect.CONFLICT),
        (failed, Effect.IGNORED), (completed, Effect.IGNORED), (saved, Effect.IGNORED),
        (expired, Effect.IGNORED),
    ],
)  # fmt: skip
@pytest.mark.parametrize("status", [2, 3, 4])
def test_in_every_other_state_nothing_changes_and_the_reason_is_kept(
    ledger: Ledger, make: Make, effect: Effect, status: int
) -> None:
    attempt = make(ledger)
    lines = ledger.attempts.history(attempt.id)
    receipt = told(ledger, attempt, status=status)
    assert receipt.news.effect is effect
    assert attempt.state.value in receipt.news.reason
    assert (ledger.attempts.get(attempt.id), ledger.attempts.history(attempt.id)) == (
        attempt, lines,
    )  # fmt: skip
    assert ledger.callbacks.of(attempt.id) == [receipt.news]


@pytest.mark.parametrize("make", [accepted, failed, completed, saved, expired])
def test_another_id_than_the_known_one_changes_nothing(ledger: Ledger, make: Make) -> None:
    attempt = make(ledger)
    receipt = told(ledger, attempt, remote_id="r2")
    assert receipt.news.effect is Effect.CONFLICT
    assert ledger.callbacks.conflicts() == [receipt.news]
    assert "r1" in receipt.news.reason
    assert ledger.attempts.get(attempt.id) == attempt


@pytest.mark.parametrize("make", [sending, doubted], ids=lambda make: make.__name__)
@pytest.mark.parametrize("kind", list(Kind))
def test_the_id_of_another_attempt_proves_nothing(
    ledger: Ledger, make: Callable[..., Attempt], kind: Kind
) -> None:
    accepted(ledger, "other", remote_id="theirs")
    attempt = make(ledger, kind=kind)
    receipt = told(ledger, attempt, remote_id="theirs")
    assert receipt.news.effect is Effect.CONFLICT
    assert ledger.callbacks.conflicts() == [receipt.news]
    assert ledger.attempts.get(attempt.id) == attempt
    assert told(ledger, attempt, remote_id="mine").news.effect is Effect.PROVED


def test_an_unknown_address_is_written_down_and_does_nothing(ledger: Ledger) -> None:
    attempt = doubted(ledger)
    receipts = [
        ledger.callbacks.record(token=token, remote_id="r1", status=3, body_sha256="0" * 64)
        for token in ("t1", "t2")
    ]
    assert [receipt.is_new for receipt in receipts] == [True, False]  # junk does not pile up
    assert receipts[0].news.effect is Effect.UNKNOWN
    assert receipts[0].news.attempt_id is None
    assert ledger.callbacks.of(None) == [receipts[0].news]
    assert ledger.attempts.get(attempt.id) == attempt


def test_another_services_attempts_are_unknown(ledger_url: str) -> None:
    with Ledger.open(ledger_url, service="openapi.akool.com") as real:
        attempt = doubted(real)
        with Ledger.open(ledger_url, service="emulator") as rehearsal:
            assert told(rehearsal, attempt).news.effect is Effect.UNKNOWN
        assert real.attempts.get(attempt.id) == attempt
        assert told(real, attempt).news.effect is Effect.PROVED


def test_a_repeated_callback_changes_nothing_whatever_its_body(
    ledger: Ledger, clock: Clock
) -> None:
    attempt = doubted(ledger)
    first = told(ledger, attempt, body="1")
    look = ledger.attempts.get(attempt.id)
    assert ledger.attempts.claim_look(look, next_look_at=clock.now + 60)
    after = ledger.attempts.get(attempt.id)
    clock.now += 3
    for body in ("1", "2", "3"):
        again = told(ledger, attempt, body=body)
        assert (again.news, again.is_new) == (first.news, False)
    assert ledger.attempts.get(attempt.id) == after
    assert ledger.callbacks.of(attempt.id) == [first.news]
    assert first.news.body_sha256 == "1" * 64


def test_a_later_status_is_news(ledger: Ledger, clock: Clock) -> None:
    attempt = doubted(ledger)
    assert told(ledger, attempt, status=2).news.effect is Effect.PROVED
    look = ledger.attempts.get(attempt.id)
    assert ledger.attempts.claim_look(look, next_look_at=clock.now + 60)
    clock.now += 3
    assert told(ledger, attempt, status=3).news.effect is Effect.LOOK
    assert ledger.attempts.get(attempt.id).next_look_at == clock.now


def test_news_and_effect_are_durable_together_or_not_at_all(ledger: Ledger) -> None:
    attempt = doubted(ledger)
    lines = ledger.attempts.history(attempt.id)
    with pytest.raises(IntegrityError):
        ledger.callbacks.record(
            token=attempt.webhook_token, remote_id="r1", status=3,
            body_sha256=None,  # type: ignore[arg-type]
        )  # fmt: skip
    assert ledger.attempts.get(attempt.id) == attempt
    assert ledger.attempts.history(attempt.id) == lines
    assert ledger.callbacks.of(attempt.id) == []


def test_many_threads_tell_the_same_once(ledger: Ledger) -> None:
    attempt = doubted(ledger)
    gate = threading.Barrier(8)

    def tell(number: int) -> Receipt:
        gate.wait(timeout=10)
        return told(ledger, attempt, body=str(number))

    with ThreadPoolExecutor(8) as pool:
        receipts = list(pool.map(tell, range(8)))
    assert [receipt.is_new for receipt in receipts].count(True) == 1
    moves = [event.after for event in ledger.attempts.history(attempt.id)]
    assert moves.count(State.ACCEPTED) == 1


def test_sender_and_callback_race_to_one_acceptance(ledger: Ledger) -> None:
    for number in range(20):
        attempt = sending(ledger, f"c{number}")
        remote_id = f"r{number}"
        with ThreadPoolExecutor(2) as pool:
            answer = pool.submit(
                ledger.attempts.accept, attempt.id, remote_id=remote_id, next_look_at=9e9
            )
            callback = pool.submit(told, ledger, attempt, remote_id=remote_id)
        assert answer.result().state is State.ACCEPTED
        assert callback.result().news.effect in (Effect.PROVED, Effect.LOOK)
        now = ledger.attempts.get(attempt.id)
        assert now.next_look_at is not None
        assert now.next_look_at < 9e9
        moves = [event.after for event in ledger.attempts.history(attempt.id)]
        assert moves.count(State.ACCEPTED) == 1


def test_an_older_ledger_gets_the_table(ledger_url: str) -> None:
    with Ledger.open(ledger_url, service="emulator") as ledger:
        attempt = doubted(ledger)
    engine = sa.create_engine(ledger_url)
    with engine.begin() as connection:
        connection.execute(sa.text("DROP TABLE akool_callbacks"))
    engine.dispose()
    with Ledger.open(ledger_url, service="emulator") as ledger:
        assert told(ledger, attempt).news.effect is Effect.PROVED


TRUE_IDS = ("id-0", "id-1", "id-2")
_FORWARD = {
    State.SENDING: {State.SENDING, State.ACCEPTED},
    State.IN_DOUBT: {State.IN_DOUBT, State.ACCEPTED},
}


class AnyOrder(RuleBasedStateMachine):
    """Three creates, their senders, AKOOL's callbacks, and callbacks that were forged."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.ledger = Ledger.open("sqlite://", service="emulator", clock=self.clock)
        self.attempts: list[Attempt] = []
        self.proved: set[int] = set()

    @initialize()
    def send_three(self) -> None:
        self.attempts = [sending(self.ledger, f"c{number}") for number in range(3)]

    def teardown(self) -> None:
        self.ledger.close()

    @rule(which=st.integers(0, 2), seconds=st.floats(0, 100))
    def answer_arrives(self, which: int, seconds: float) -> None:
        self.clock.now += seconds
        self.ledger.attempts.accept(
            self.attempts[which].id, remote_id=TRUE_IDS[which], next_look_at=self.clock.now + 60
        )

    @rule(which=st.integers(0, 2))
    def answer_is_lost(self, which: int) -> None:
        self.ledger.attempts.doubt(self.attempts[which].id, reason="lost", advice=None)

    @rule(which=st.integers(0, 2), seconds=st.floats(0.1, 100))
    def look_finds_it_finished(self, which: int, seconds: float) -> None:
        self.clock.now += seconds
        self.ledger.attempts.complete(
            self.attempts[which].id, url="u", url_expires_at=9e9, spent_credits=None,
            media_seconds=None, answer={},
        )  # fmt: skip

    @rule(which=st.integers(0, 2))
    def save(self, which: int) -> None:
        self.ledger.attempts.save(self.attempts[which].id, media_seconds=1.0)

    @rule(which=st.integers(0, 2), status=st.integers(1, 4), body=st.sampled_from("0123"))
    def genuine_callback(self, which: int, status: int, body: str) -> None:
        self._tell(which, TRUE_IDS[which], status=status, body=body)

    @rule(which=st.integers(0, 2), status=st.integers(1, 4))
    def callback_of_a_known_job_at_another_address(self, which: int, status: int) -> None:
        other = (which + 1) % 3
        owner = self.ledger.attempts.get(self.attempts[other].id)
        if owner.remote_id is not None:
            self._tell(which, TRUE_IDS[other], status=status, body="0")

    @rule(status=st.integers(1, 4), remote_id=st.sampled_from(TRUE_IDS))
    def callback_to_an_unknown_address(self, status: int, remote_id: str) -> None:
        before = self._all()
        self.ledger.callbacks.record(
            token="unknown", remote_id=remote_id, status=status, body_sha256="0" * 64
        )
        assert self._all() == before

    def _all(self) -> list[Attempt]:
        return [self.ledger.attempts.get(attempt.id) for attempt in self.attempts]

    def _tell(self, which: int, remote_id: str, *, status: int, body: str) -> None:
        before = self._all()
        told(self.ledger, before[which], remote_id=remote_id, status=status, body=body)
        after = self._all()
        for number, (old, new) in enumerate(zip(before, after, strict=True)):
            if number != which:
                assert new == old
            assert new.state in _FORWARD.get(old.state, {old.state})
            assert (new.url, new.spent_credits, new.looks) == (
                old.url, old.spent_credits, old.looks,
            )  # fmt: skip

    @invariant()
    def ids_are_true_and_proof_is_heeded(self) -> None:
        for attempt, remote_id in zip(self._all(), TRUE_IDS, strict=False):
            assert attempt.remote_id in (None, remote_id)
            effects = {news.effect for news in self.ledger.callbacks.of(attempt.id)}
            if Effect.PROVED in effects:
                assert attempt.state not in (State.SENDING, State.IN_DOUBT)
            moves = [event.after for event in self.ledger.attempts.history(attempt.id)]
            assert len(moves) == len(set(moves))


AnyOrder.TestCase.settings = settings(
    max_examples=25,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
TestAnyOrder = AnyOrder.TestCase
