from typing import Any

from akool_dagster.akool.paging import MAX_PAGES, all_items
from akool_dagster.akool.parsing import Page


class Server:
    """A list of ``total`` items, handed out as an AKOOL list might."""

    def __init__(
        self,
        total: int,
        *,
        largest: int = 1000,
        tells_total: bool = False,
        tells_size: bool = False,
        ignores_page: bool = False,
    ):
        self.items = [{"id": f"i{number}"} for number in range(total)]
        self.largest = largest
        self.tells_total = tells_total
        self.tells_size = tells_size
        self.ignores_page = ignores_page
        self.asked = 0

    def __call__(self, query: dict[str, Any]) -> Page:
        self.asked += 1
        size = min(query["size"], self.largest)
        start = 0 if self.ignores_page else (query["page"] - 1) * size
        return Page(
            tuple(self.items[start : start + size]),
            total=len(self.items) if self.tells_total else None,
            size=size if self.tells_size else None,
        )


def read(server: Server) -> tuple[list[Any], int]:
    return all_items(server, key="id"), server.asked


def test_a_short_page_is_the_last():
    server = Server(250)
    assert read(server) == (server.items, 3)


def test_a_full_last_page_is_followed_by_an_empty_one():
    server = Server(200)
    assert read(server) == (server.items, 3)


def test_an_empty_list():
    assert read(Server(0)) == ([], 1)


def test_a_server_with_smaller_pages_that_tells_its_size():
    server = Server(45, largest=20, tells_size=True)
    assert read(server) == (server.items, 3)


def test_a_server_with_smaller_pages_that_tells_the_total():
    server = Server(45, largest=20, tells_total=True)
    assert read(server) == (server.items, 3)


def test_a_server_that_ignores_the_page_number():
    server = Server(300, largest=100, ignores_page=True, tells_total=True)
    assert read(server) == (server.items[:100], 2)


def test_a_total_that_counts_only_the_page_loses_nothing():
    server = Server(150)

    def counting(query: dict[str, Any]) -> Page:
        page = server(query)
        return Page(page.items, total=len(page.items), size=None)

    assert all_items(counting, key="id") == server.items


def test_items_that_moved_between_pages_come_once():
    pages = iter([[{"id": str(n)} for n in range(100)], [{"id": "99"}, {"id": "100"}]])
    items = all_items(lambda query: Page(tuple(next(pages)), None, None), key="id")
    assert [item["id"] for item in items] == [str(n) for n in range(101)]


def test_items_without_the_key_come_along_but_do_not_go_on_for_ever():
    page = Page(({"name": "x"}, 5, {"id": ["a"]}) * 40, None, None)
    assert all_items(lambda query: page, key="id") == list(page.items)


def test_a_list_without_an_end_is_cut_off(caplog):
    numbers = iter(range(10**9))

    def endless(query: dict[str, Any]) -> Page:
        return Page(tuple({"id": str(next(numbers))} for _ in range(100)), None, None)

    assert len(all_items(endless, key="id")) == MAX_PAGES * 100
    assert "cut off" in caplog.text
