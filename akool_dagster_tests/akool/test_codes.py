from collections.abc import Iterable
from pathlib import Path

import pytest

from akool_dagster.akool import CODES, HTTP_REFUSALS, CodeClass, describe_code
from akool_dagster.akool.codes import judge
from akool_dagster_tests.akool.codes_page import page

# Transcribed from AKOOL's error-code page and the endpoint pages, apart from the table under test.
EXPECTED: dict[CodeClass, Iterable[int]] = {
    CodeClass.OK: [1000],
    CodeClass.RETRY: [1005, 2001],
    CodeClass.RETRY_FEW: [
        *(1015, 1017, 1105, 1108, 1110, 1111, 1112, 1201, 1205, 1208, 1211, 1220),
    ],
    CodeClass.ITEM: [
        *(1003, 1008, 1009, 1010, 1011, 1013, 1014, 1203, 1204, 1207, 1209, 1210),
        # of other products
        *(1007, 1016, 1202, 1206, 1212, *range(1214, 1220), *range(1232, 1237)),
    ],
    CodeClass.ACCOUNT: [1004, 1006, 1102, 1103, 1104, 1200, 1213, 1221, 1223],
    CodeClass.LOGIN: [1101],
    CodeClass.PROBE: [1109],
    CodeClass.EXISTS: [1222],
}


def test_every_documented_code_has_its_class():
    expected = {code: kind for kind, codes in EXPECTED.items() for code in codes}
    assert {code: row.kind for code, row in CODES.items()} == expected


@pytest.mark.parametrize("row", [*CODES.values(), *HTTP_REFUSALS.values()])
def test_every_row_tells_what_it_means_and_what_to_do(row):
    assert row.text
    assert bool(row.advice) is (row.kind is not CodeClass.OK)
    assert CODES.get(row.number, HTTP_REFUSALS.get(row.number)) is row


def test_an_undocumented_code_may_be_tried_again():
    row = describe_code(4711)
    assert (row.number, row.kind) == (4711, CodeClass.RETRY_FEW)
    assert "does not document" in row.advice
    assert describe_code(1006) is CODES[1006]


@pytest.mark.parametrize("status", [200, 206, 302, 303, 408, 409, 418, 425, 500, 502, 503, 599])
@pytest.mark.parametrize("code", [None, 0, 200, 502, 999])
def test_what_does_not_prove_a_refusal(status: int, code: int | None):
    assert judge(http_status=status, code=code) is None


@pytest.mark.parametrize("status", sorted(HTTP_REFUSALS))
@pytest.mark.parametrize("code", [None, 404])
def test_a_status_that_proves_a_refusal(status: int, code: int | None):
    assert judge(http_status=status, code=code) is HTTP_REFUSALS[status]


@pytest.mark.parametrize("status", [200, 302, 401, 429, 500])
def test_a_documented_code_counts_beside_any_status(status: int):
    assert judge(http_status=status, code=1006) is CODES[1006]


def test_an_undocumented_code_counts_unless_a_server_failed():
    assert judge(http_status=200, code=4711) == describe_code(4711)
    assert judge(http_status=500, code=4711) is None
    assert judge(http_status=408, code=4711) is None


def test_the_page_of_codes_is_the_table_of_the_client() -> None:
    written = Path(__file__).parents[2] / "docs" / "akool-codes.md"
    assert written.read_text(encoding="utf-8") == page()
