import math
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from akool_dagster.emulator.jobs import COMPLETED, FAILED, QUEUED, WORKING, Change, Job, JobBook


def video(number: int, *, created: float = 0, work: float = 10, fails: bool = False) -> Job:
    return Job(
        id=f"job-{number}",
        kind="video",
        page="test",
        number=number,
        body={},
        details={},
        created=created,
        queueing=1,
        work=work,
        fails=fails,
    )


def status(book: JobBook, number: int, now: float) -> int:
    job = book.get(f"job-{number}")
    assert job is not None
    return job.status(now)


def test_a_job_walks_through_its_states_at_its_times() -> None:
    book = JobBook(slots=1)
    book.add(video(1), now=0)
    seen = {at: status(book, 1, at) for at in (0, 0.9, 1, 10.9, 11)}
    assert seen == {0: QUEUED, 0.9: QUEUED, 1: WORKING, 10.9: WORKING, 11: COMPLETED}


def test_beyond_the_slots_jobs_wait_and_start_the_moment_a_slot_is_free() -> None:
    book = JobBook(slots=1)
    for number in (1, 2, 3):
        book.add(video(number), now=0)
    assert (book.rendering, book.waiting) == (1, 2)
    book.advance(100)  # looked at late, on purpose
    ends = [job.ended for job in book.all()]
    assert ends == [11, 22, 33]


def test_a_failing_job_frees_its_slot_too() -> None:
    book = JobBook(slots=1)
    book.add(video(1, fails=True), now=0)
    book.add(video(2), now=0)
    changes = book.advance(30)
    assert [(change.job.id, change.status) for change in changes] == [
        ("job-1", WORKING),
        ("job-1", FAILED),
        ("job-2", WORKING),
        ("job-2", COMPLETED),
    ]


def test_a_stuck_job_never_ends_and_holds_no_slot() -> None:
    book = JobBook(slots=1)
    book.add(video(1, work=math.inf), now=0)
    book.add(video(2), now=0)
    book.advance(1e9)
    assert status(book, 1, 1e9) == WORKING
    assert status(book, 2, 1e9) == COMPLETED


def test_more_slots_let_waiting_jobs_start() -> None:
    book = JobBook(slots=1)
    for number in (1, 2, 3):
        book.add(video(number), now=0)
    book.slots = 3
    book.advance(2)
    assert (book.rendering, book.waiting) == (3, 0)
    assert status(book, 3, 3) == WORKING


def test_restored_jobs_go_on_where_they_were() -> None:
    first = JobBook(slots=1)
    for number in (1, 2):
        first.add(video(number), now=0)
    second = JobBook(slots=1)
    second.restore(first.all(), now=5)
    assert (second.rendering, second.waiting) == (1, 1)
    second.advance(100)
    assert [job.ended for job in second.all()] == [11, 22]


@dataclass(frozen=True)
class Arrival:
    at: float
    work: float
    fails: bool


ARRIVALS = st.lists(
    st.builds(
        Arrival,
        at=st.floats(0, 50),
        work=st.floats(0, 30),
        fails=st.booleans(),
    ),
    min_size=1,
    max_size=25,
).map(lambda items: sorted(items, key=lambda item: item.at))


def played(arrivals: list[Arrival], slots: int, looks: list[float]) -> tuple[JobBook, list[Change]]:
    book, changes = JobBook(slots=slots), []
    moments = [(item.at, 1, number) for number, item in enumerate(arrivals, start=1)]
    moments += [(look, 0, 0) for look in looks]
    for at, arrives, number in sorted(moments):
        changes += book.advance(at)
        if arrives:
            item = arrivals[number - 1]
            book.add(video(number, created=at, work=item.work, fails=item.fails), now=at)
    changes += book.advance(1e6)
    return book, changes


@given(ARRIVALS, st.integers(1, 4), st.lists(st.floats(0, 200), max_size=10))
def test_history_does_not_depend_on_when_somebody_looks(
    arrivals: list[Arrival], slots: int, looks: list[float]
) -> None:
    seen, _ = played(arrivals, slots, looks)
    unseen, _ = played(arrivals, slots, [])
    assert [job.started for job in seen.all()] == [job.started for job in unseen.all()]


@given(ARRIVALS, st.integers(1, 4))
def test_slots_are_never_exceeded_and_every_job_ends_once(
    arrivals: list[Arrival], slots: int
) -> None:
    book, changes = played(arrivals, slots, [])
    jobs = book.all()
    for job in jobs:
        at = job.started
        assert at is not None
        busy = sum(
            1 for other in jobs if other.started is not None and other.started <= at < other.ended
        )
        assert busy <= slots
    ends = [change.job.id for change in changes if change.status in (COMPLETED, FAILED)]
    assert sorted(ends) == sorted(job.id for job in jobs)
    assert [change.at for change in changes] == sorted(change.at for change in changes)
    assert (book.rendering, book.waiting) == (0, 0)
