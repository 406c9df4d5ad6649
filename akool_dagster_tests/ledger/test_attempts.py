import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from akool_dagster.ledger import Attempt, Hold, Kind, Ledger, Limits, State
from akool_dagster.ledger.attempts import SENDING_LIMIT_SECONDS
from akool_dagster_tests.ledger.conftest import Clock

ROOMY = Limits(max_in_flight=100)


def opened(
    ledger: Ledger, content: str = "a", *, after: int = 0, kind: Kind = Kind.VIDEO
) -> Attempt:
    return ledger.attempts.open_next(
        kind=kind, content_hash=content, api="v4", after=after, media_seconds=3.0
    )


def reserved(ledger: Ledger, content: str = "a", *, price: float = 10.0) -> Attempt:
    attempt = opened(ledger, content)
    held = ledger.attempts.reserve(attempt.id, price=price, limits=ROOMY)
    assert isinstance(held, Attempt)
    return held


def sending(ledger: Ledger, content: str = "a") -> Attempt:
    attempt = reserved(ledger, content)
    assert ledger.attempts.start_sending(attempt.id)
    return ledger.attempts.get(attempt.id)


def accepted(ledger: Ledger, content: str = "a", *, remote_id: str = "r1") -> Attempt:
    attempt = sending(ledger, content)
    return ledger.attempts.accept(attempt.id, remote_id=remote_id, next_look_at=0.0)


def completed(ledger: Ledger, content: str = "a") -> Attempt:
    attempt = accepted(ledger, content, remote_id=f"r-{content}")
    return ledger.attempts.complete(
        attempt.id, url="http://x/v.mp4", url_expires_at=9e9, spent_credits=7.0,
        media_seconds=None, answer={"video": "http://x/v.mp4"},
    )  # fmt: skip


def failed(ledger: Ledger, content: str = "a") -> Attempt:
    attempt = accepted(ledger, content, remote_id=f"r-{content}")
    return ledger.attempts.fail(
        attempt.id, code=1205, reason="no", advice=None, spent_credits=None, answer=None
    )


def test_the_whole_road_leaves_one_line_of_history_per_move(ledger: Ledger, clock: Clock) -> None:
    attempt = completed(ledger)
    ledger.attempts.save(attempt.id, media_seconds=3.1)

    now = ledger.attempts.get(attempt.id)
    assert (now.state, now.remote_id, now.spent_credits) == (State.SAVED, "r-a", 7.0)
    moves = [(event.before, event.after) for event in ledger.attempts.history(attempt.id)]
    assert moves == [
        (None, State.PLANNED),
        (State.PLANNED, State.RESERVED),
        (State.RESERVED, State.SENDING),
        (State.SENDING, State.ACCEPTED),
        (State.ACCEPTED, State.COMPLETED),
        (State.COMPLETED, State.SAVED),
    ]


def test_late_and_repeated_signals_change_nothing(ledger: Ledger) -> None:
    attempt = completed(ledger)
    ledger.attempts.accept(attempt.id, remote_id="other", next_look_at=0.0)
    ledger.attempts.fail(
        attempt.id, code=1, reason="late", advice=None, spent_credits=None, answer=None
    )
    ledger.attempts.doubt(attempt.id, reason="late", advice=None)

    now = ledger.attempts.get(attempt.id)
    assert (now.state, now.remote_id, now.reason) == (State.COMPLETED, "r-a", None)
    assert len(ledger.attempts.history(attempt.id)) == 5


@pytest.mark.parametrize("make", [reserved, sending, accepted, completed], ids=lambda f: f.__name__)
def test_no_second_attempt_while_the_first_may_succeed(ledger: Ledger, make) -> None:
    attempt = make(ledger)
    with pytest.raises(ValueError, match="opens the next one"):
        opened(ledger, after=attempt.number)


def test_doubt_does_not_open_the_next_attempt_but_a_person_may(ledger: Ledger) -> None:
    attempt = sending(ledger)
    ledger.attempts.doubt(attempt.id, reason="time-out", advice=None)
    with pytest.raises(ValueError, match="in_doubt"):
        opened(ledger, after=1)

    ledger.attempts.allow_paying_again(attempt.id, by="person:kim")
    assert opened(ledger, after=1).number == 2
    assert "person:kim" in (ledger.attempts.history(attempt.id)[-1].detail or "")


def test_a_failed_attempt_may_be_followed(ledger: Ledger) -> None:
    assert opened(ledger, after=failed(ledger).number).number == 2


def test_who_knows_an_older_attempt_gets_the_newest_instead_of_a_third(ledger: Ledger) -> None:
    failed(ledger)
    second = opened(ledger, after=1)
    assert opened(ledger, after=1).id == second.id
    assert opened(ledger, after=0).id == second.id


def test_only_one_of_many_threads_may_send(ledger: Ledger) -> None:
    attempt = reserved(ledger)
    with ThreadPoolExecutor(8) as pool:
        claims = list(pool.map(lambda _: ledger.attempts.start_sending(attempt.id), range(24)))
    assert claims.count(True) == 1


RACER = """
import sys
from akool_dagster.ledger import Attempt, Kind, Ledger, Limits

won = 0
with Ledger.open(sys.argv[1], service="emulator") as ledger:
    for number in range(30):
        attempt = ledger.attempts.open_next(
            kind=Kind.VIDEO, content_hash=f"c{number}", api="v4", after=0, media_seconds=None
        )
        held = ledger.attempts.reserve(attempt.id, price=1.0, limits=Limits(max_in_flight=100))
        if isinstance(held, Attempt) and ledger.attempts.start_sending(attempt.id):
            won += 1
            ledger.attempts.accept(attempt.id, remote_id=str(number), next_look_at=0.0)
print(won)
"""


def test_two_processes_share_the_sends_without_overlap(ledger_url: str) -> None:
    command = [sys.executable, "-c", RACER, ledger_url]
    racers = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    said = [racer.communicate(timeout=120) for racer in racers]
    assert [errors for _, errors in said] == ["", ""]
    assert sum(int(count) for count, _ in said) == 30


def test_slots_are_counted_over_all_states_that_akool_may_work_on(
    ledger: Ledger, clock: Clock
) -> None:
    accepted(ledger, "a")
    doubtful = sending(ledger, "b")
    ledger.attempts.doubt(doubtful.id, reason="?", advice=None)
    waiting = opened(ledger, "c")

    two = Limits(max_in_flight=2)
    assert ledger.attempts.reserve(waiting.id, price=1.0, limits=two) is Hold.NO_SLOT
    clock.now += 3601
    assert isinstance(ledger.attempts.reserve(waiting.id, price=1.0, limits=two), Attempt)


def test_a_voice_needs_no_slot(ledger: Ledger) -> None:
    accepted(ledger, "a")
    voice = opened(ledger, "v", kind=Kind.VOICE)
    held = ledger.attempts.reserve(voice.id, price=1.0, limits=Limits(max_in_flight=1))
    assert isinstance(held, Attempt)


def test_reserved_plus_spent_never_passes_the_cap(ledger: Ledger, clock: Clock) -> None:
    completed(ledger, "spent-7-of-reserved-10")
    limits = Limits(max_in_flight=100, max_credits=27.0)
    second, third = opened(ledger, "b"), opened(ledger, "c")
    assert isinstance(ledger.attempts.reserve(second.id, price=20.0, limits=limits), Attempt)
    assert ledger.attempts.reserve(third.id, price=0.5, limits=limits) is Hold.OVER_CAP

    ledger.attempts.start_sending(second.id)
    ledger.attempts.refuse(second.id, code=1003, reason="no", advice=None, try_again=False)
    assert isinstance(ledger.attempts.reserve(third.id, price=20.0, limits=limits), Attempt)

    fourth = opened(ledger, "d")
    assert ledger.attempts.reserve(fourth.id, price=27.0, limits=limits) is Hold.OVER_CAP
    clock.now += 86_400
    assert isinstance(ledger.attempts.reserve(fourth.id, price=27.0, limits=limits), Attempt)


def test_a_process_that_died_while_sending_leaves_doubt(ledger_url: str, clock: Clock) -> None:
    host = socket.gethostname()
    with Ledger.open(ledger_url, service="emulator", clock=clock, actor=f"{host}:999999:x") as dead:
        attempt = sending(dead)
    with Ledger.open(ledger_url, service="emulator", clock=clock) as alive:
        mine = sending(alive, "mine")
        assert [found.id for found in alive.attempts.doubt_the_abandoned()] == [attempt.id]
        assert alive.attempts.get(attempt.id).state is State.IN_DOUBT
        assert alive.attempts.get(mine.id).state is State.SENDING


def test_a_sender_on_another_machine_is_given_time(ledger_url: str, clock: Clock) -> None:
    with Ledger.open(ledger_url, service="emulator", clock=clock, actor="elsewhere:1:x") as other:
        sending(other)
    with Ledger.open(ledger_url, service="emulator", clock=clock) as here:
        assert here.attempts.doubt_the_abandoned() == []
        clock.now += SENDING_LIMIT_SECONDS + 1
        assert len(here.attempts.doubt_the_abandoned()) == 1


def test_one_akool_id_belongs_to_one_attempt(ledger: Ledger) -> None:
    accepted(ledger, "a", remote_id="same")
    other = sending(ledger, "b")
    with pytest.raises(Exception, match="UNIQUE"):
        ledger.attempts.accept(other.id, remote_id="same", next_look_at=0.0)
    assert ledger.attempts.get(other.id).state is State.SENDING


def test_a_look_is_claimed_once_and_longest_due_first(ledger: Ledger, clock: Clock) -> None:
    later = ledger.attempts.accept(sending(ledger, "a").id, remote_id="1", next_look_at=clock.now)
    first = ledger.attempts.accept(
        sending(ledger, "b").id, remote_id="2", next_look_at=clock.now - 5
    )
    ledger.attempts.accept(sending(ledger, "c").id, remote_id="3", next_look_at=clock.now + 5)

    due = ledger.attempts.due_looks(kind=Kind.VIDEO, now=clock.now, limit=10)
    assert [attempt.id for attempt in due] == [first.id, later.id]
    assert ledger.attempts.claim_look(first, next_look_at=clock.now + 9)
    assert not ledger.attempts.claim_look(first, next_look_at=clock.now + 9)


def test_services_do_not_see_each_other(ledger_url: str) -> None:
    with Ledger.open(ledger_url, service="emulator") as rehearsal:
        completed(rehearsal)
    with Ledger.open(ledger_url, service="openapi.akool.com") as real:
        assert real.attempts.latest(kind=Kind.VIDEO, content_hash="a") is None
        assert opened(real).number == 1


def test_many_contents_are_looked_up_at_once(ledger: Ledger) -> None:
    wanted = [f"h{number}" for number in range(1200)]
    failed(ledger, "h7")
    second = opened(ledger, "h7", after=1)
    found = ledger.attempts.latest_of(kind=Kind.VIDEO, content_hashes=wanted)
    assert found == {"h7": second}
