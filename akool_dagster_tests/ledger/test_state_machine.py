"""The ledger as a state machine: whatever the order of calls, the promises hold."""

import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    invariant,
    multiple,
    rule,
)

from akool_dagster.ledger import Attempt, Kind, Ledger, Limits, State
from akool_dagster.ledger.states import may_move
from akool_dagster_tests.ledger.conftest import Clock

CONTENTS = st.sampled_from(["a", "b", "c"])
CAP = 100.0
SLOTS = 3
LIMITS = Limits(max_in_flight=SLOTS, max_credits=CAP)
ACTORS = ("here:1:x", "there:2:y")


class Books(RuleBasedStateMachine):
    """Two processes, some rows, and an AKOOL that loses answers, all in any order."""

    attempts = Bundle("attempts")

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.clock = Clock()
        url = f"sqlite:///{Path(self.folder.name) / 'ledger.sqlite'}"
        self.ledgers = [
            Ledger.open(url, service="emulator", clock=self.clock, actor=actor) for actor in ACTORS
        ]
        self.sends: dict[int, int] = {}
        self.remote_ids: dict[int, str] = {}

    def teardown(self) -> None:
        for ledger in self.ledgers:
            ledger.close()
        self.folder.cleanup()

    @rule(target=attempts, who=st.integers(0, 1), content=CONTENTS)
    def open_next(self, who: int, content: str):
        ledger = self.ledgers[who]
        newest = ledger.attempts.latest(kind=Kind.VIDEO, content_hash=content)
        if newest is not None and not newest.may_be_followed:
            return multiple()
        attempt = ledger.attempts.open_next(
            kind=Kind.VIDEO, content_hash=content, api="v", after=newest.number if newest else 0,
            media_seconds=1.0,
        )  # fmt: skip
        return attempt.id

    @rule(who=st.integers(0, 1), attempt=attempts, price=st.sampled_from([10.0, 40.0]))
    def reserve(self, who: int, attempt: int, price: float) -> None:
        self.ledgers[who].attempts.reserve(attempt, price=price, limits=LIMITS)

    @rule(who=st.integers(0, 1), attempt=attempts)
    def send(self, who: int, attempt: int) -> None:
        if self.ledgers[who].attempts.start_sending(attempt):
            self.sends[attempt] = self.sends.get(attempt, 0) + 1

    @rule(who=st.integers(0, 1), attempt=attempts, answer=st.sampled_from(["yes", "no", "lost"]))
    def answer(self, who: int, attempt: int, answer: str) -> None:
        ledger = self.ledgers[who].attempts
        if answer == "yes":
            after = ledger.accept(attempt, remote_id=f"r{attempt}", next_look_at=0.0)
            if after.remote_id:
                self.remote_ids.setdefault(attempt, after.remote_id)
        elif answer == "no":
            ledger.refuse(attempt, code=1003, reason="no", advice=None, try_again=False)
        else:
            ledger.doubt(attempt, reason="time-out", advice=None)

    @rule(who=st.integers(0, 1), attempt=attempts, spent=st.sampled_from([None, 5.0]))
    def finish(self, who: int, attempt: int, spent: float | None) -> None:
        self.ledgers[who].attempts.complete(
            attempt, url="u", url_expires_at=9e9, spent_credits=spent, media_seconds=None, answer={}
        )

    @rule(who=st.integers(0, 1), attempt=attempts)
    def fail(self, who: int, attempt: int) -> None:
        self.ledgers[who].attempts.fail(
            attempt, code=None, reason="no", advice=None, spent_credits=None, answer=None
        )

    @rule(who=st.integers(0, 1), attempt=attempts, saved=st.booleans())
    def end(self, who: int, attempt: int, saved: bool) -> None:
        if saved:
            self.ledgers[who].attempts.save(attempt, media_seconds=1.0)
        else:
            self.ledgers[who].attempts.expire(attempt, reason="link died", advice=None)

    @rule(seconds=st.sampled_from([1.0, 700.0, 4000.0]), who=st.integers(0, 1))
    def time_passes(self, seconds: float, who: int) -> None:
        self.clock.now += seconds
        self.ledgers[who].attempts.doubt_the_abandoned()

    @rule(attempt=attempts)
    def a_person_pays_again(self, attempt: int) -> None:
        self.ledgers[0].attempts.allow_paying_again(attempt, by="person:kim")

    def _all(self) -> list[Attempt]:
        return self.ledgers[0].attempts.in_states(kind=Kind.VIDEO, states=list(State))

    @invariant()
    def each_attempt_was_sent_at_most_once(self) -> None:
        assert all(count == 1 for count in self.sends.values())

    @invariant()
    def no_id_that_reached_us_is_lost(self) -> None:
        known = {attempt.id: attempt.remote_id for attempt in self._all()}
        assert all(known[number] == told for number, told in self.remote_ids.items())

    @invariant()
    def only_one_attempt_of_a_content_is_open_without_a_persons_word(self) -> None:
        closed = {State.REFUSED, State.FAILED, State.EXPIRED}
        for content in ("a", "b", "c"):
            mine = [attempt for attempt in self._all() if attempt.content_hash == content]
            for older in mine[:-1]:
                assert older.state in closed or older.pay_again_at is not None

    @invariant()
    def the_cap_holds(self) -> None:
        worth = [
            attempt.spent_credits if attempt.spent_credits is not None else attempt.reserved_credits
            for attempt in self._all()
            if attempt.reserved_at is not None and attempt.state is not State.REFUSED
        ]
        assert sum(credit or 0.0 for credit in worth) <= CAP

    @invariant()
    def the_history_tells_every_move_and_each_goes_forward(self) -> None:
        for attempt in self._all():
            state = None
            for event in self.ledgers[1].attempts.history(attempt.id):
                assert event.before is state
                if state is not None and event.after is not state:
                    assert may_move(before=state, after=event.after)
                state = event.after
            assert state is attempt.state


TestBooks = Books.TestCase
TestBooks.settings = settings(
    max_examples=25,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
