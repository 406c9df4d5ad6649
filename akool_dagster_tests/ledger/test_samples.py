from akool_dagster.ledger import KnownSample, Ledger


def saw(ledger: Ledger, url: str, sha256: str) -> None:
    link = url.partition("?")[0]
    ledger.samples.saw(url, link=link, sha256=sha256, size_bytes=9, seconds=1.5)


def test_the_file_behind_each_link_is_remembered_and_may_change(ledger: Ledger) -> None:
    urls = [f"https://h/{n}.mp3?sig={n}" for n in range(600)]
    for url in urls[:3]:
        saw(ledger, url, "one")
    saw(ledger, urls[2], "two")
    saw(ledger, urls[2], "two")
    known = ledger.samples.behind(urls)
    assert {url: sample.sha256 for url, sample in known.items()} == {
        urls[0]: "one", urls[1]: "one", urls[2]: "two",
    }  # fmt: skip
    files = ledger.samples.by_file()
    assert {sha: [s.link for s in found] for sha, found in files.items()} == {
        "one": ["https://h/0.mp3", "https://h/1.mp3"],
        "two": ["https://h/2.mp3"],
    }
    assert isinstance(known[urls[0]], KnownSample)
    assert known[urls[0]].size_bytes == 9
