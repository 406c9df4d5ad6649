"""Writes ``docs/akool-codes.md`` from the client's own table.

Run it after a change of the table::

    python -m akool_dagster_tests.akool.codes_page docs/akool-codes.md
"""

import sys
from pathlib import Path

from akool_dagster.akool import CODES, CodeClass, Meaning
from akool_dagster.batch.creating import ASKED_AGAIN, TOO_FREQUENT

_HEAD = """# What every AKOOL code leads to

Meanings are AKOOL's (error-code page and the endpoint pages); what happens is our choice.
A create that is answered with a code of no page fails its row, as 1003 does.

| code | meaning | when a create is answered with it | what to do |
| --- | --- | --- | --- |
"""

_HAPPENS = {
    CodeClass.OK: "accepted",
    CodeClass.ACCOUNT: "all sending stops until a balance call succeeds",
    CodeClass.LOGIN: "with a token: one new login; with a key: all sending stops",
    CodeClass.PROBE: "the balance is asked for: if AKOOL answers, this row failed, else all stops",
    CodeClass.EXISTS: "the existing one is looked up",
}


def page() -> str:
    """The whole page in Markdown."""
    lines = [
        f"| {code} | {meaning.text} | {_what_happens(meaning)} | {meaning.advice or '-'} |"
        for code, meaning in CODES.items()
    ]
    return _HEAD + "\n".join(lines) + "\n"


def _what_happens(meaning: Meaning) -> str:
    if meaning.number == TOO_FREQUENT:
        return "all creates slow down, the row is asked for again"
    if meaning.number in ASKED_AGAIN and meaning.kind is not CodeClass.LOGIN:
        return "asked again, at most twice a run"
    return _HAPPENS.get(meaning.kind, "this row fails, not charged; the others go on")


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(), encoding="utf-8")
