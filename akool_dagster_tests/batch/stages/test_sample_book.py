import threading

import pytest

from akool_dagster.batch.stages.sample_book import Sample, SampleBook, UnusableSample


def sample(sha256: str = "abc") -> Sample:
    return Sample(link="https://h/a.mp3", sha256=sha256, size_bytes=1, seconds=1.0)


def test_a_link_is_fetched_once_and_nobody_waits_for_it() -> None:
    begun, go = threading.Event(), threading.Event()
    fetched: list[str] = []

    def fetch(url: str) -> Sample:
        fetched.append(url)
        begun.set()
        assert go.wait(5)
        return sample()

    book = SampleBook(fetch=fetch)
    thread = threading.Thread(target=book.sample, args=("u",))
    thread.start()
    assert begun.wait(5)
    assert book.sample("u") is None
    go.set()
    thread.join(5)
    assert book.sample("u") == sample()
    assert fetched == ["u"]


@pytest.mark.parametrize("is_passing", [True, False])
def test_trouble_is_remembered_as_well(is_passing: bool) -> None:
    fetched: list[str] = []

    def fetch(url: str) -> Sample:
        fetched.append(url)
        raise UnusableSample("no", is_passing=is_passing)

    book = SampleBook(fetch=fetch)
    for _ in range(3):
        with pytest.raises(UnusableSample, match="no") as caught:
            book.sample("u")
        assert caught.value.is_passing is is_passing
    assert fetched == ["u"]


def test_a_bug_is_not_remembered() -> None:
    answers = iter([RuntimeError("boom"), sample()])

    def fetch(url: str) -> Sample:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    book = SampleBook(fetch=fetch)
    with pytest.raises(RuntimeError):
        book.sample("u")
    assert book.sample("u") == sample()
