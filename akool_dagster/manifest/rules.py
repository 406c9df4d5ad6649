"""The rules of a manifest, each applied to a whole column at once, every failure noted.

Plain vectorised pandas, and not pandera: of a failing cell pandera tells the rule, the row and the
value, but a report needs words made from the value ("5,214 characters", "did you mean"), the rules
across columns come back as one failure for each column of the row, and what is then left to it is
the loop below in `_flag`, for 0.15 s and 18 MB more in each process.
"""

import re
from collections.abc import Callable, Collection, Sequence
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from akool_dagster.manifest.cells import TEXT
from akool_dagster.manifest.columns import AVATAR_COLUMNS, VOICE_COLUMNS
from akool_dagster.manifest.files import NAME
from akool_dagster.manifest.report import Report, shown
from akool_dagster.manifest.template import fill_scripts
from akool_dagster.manifest.values import (
    AVATARS,
    SOUNDS,
    VIEWERS,
    Reader,
    Reading,
    Unfit,
    check_link,
    plain_link_pattern,
    rate_reader,
    read_background,
    read_language,
    read_side,
)

SCRIPT_CHARACTERS = 5000
"""Characters of a script that every plan and both voice APIs take (docs: VoiceLab page, by plan
5,000, 10,000 or 50,000)."""

_FORMULA = r"^=|#(?:REF!|N/A|NAME\?|VALUE!|DIV/0!|NULL!|NUM!|SPILL!|CALC!|####)"
_SCIENTIFIC = r"[0-9](?:\.[0-9]+)?E\+[0-9]+"
_NOTHING = "na|n/a|nan|null|none|nil|-+"
# UTF-8 that was once read as Windows-1252, and the mark of a letter that was lost.
_DAMAGED = "\ufffd|\u00c3[\u00a1-\u00bf]|\u00e2\u20ac[\u2122\u0153\u02dc\u00a6\u201c\u201d]"

Mask = NDArray[np.bool_]


def check_table(
    table: pd.DataFrame, report: Report, *, voice_api: Literal["v4", "v3"], ids_too: bool = True
) -> pd.DataFrame:
    """Applies every rule of a manifest.

    Args:
        table: A table as `cells.to_table` makes it.
        report: Takes all problems and repairs.
        voice_api: Decides which rates are allowed.
        ids_too: Whether the ``script_id`` column is to be checked; it may have been before.

    Returns:
        The table with scripts filled, and rates, languages, colours and sizes in their normal
        form. It is good only if the report holds no problem.
    """
    checked = table.copy(deep=False)
    if ids_too:
        check_script_ids(table["script_id"], report)
    _check_ways(table, report)
    for column in ("voice_id", "avatar_id"):
        _check_akool_id(table[column], report)
    for column, endings in (
        ("voice_sample_url", SOUNDS),
        ("voice_url", SOUNDS),
        ("avatar_url", AVATARS),
    ):
        _check_links(table[column], endings, report)
    _flag(table["title"], _has(table["title"], _FORMULA), report, _formula)
    for column, reader in (
        ("rate", rate_reader(voice_api)),
        ("language", read_language),
        ("background", read_background),
        ("width", read_side),
        ("height", read_side),
    ):
        checked[column] = read_cells(table[column], reader, report)
    _check_size_pairs(table, report)
    checked["rate"] = _without_idle_rates(checked, report)
    checked["script"] = fill_scripts(table, report)
    _check_scripts(checked["script"], report)
    return checked


def _flag(
    cells: pd.Series, wrong: Mask, report: Report, diagnose: Callable[[str], Unfit | None]
) -> None:
    """Notes each cell where ``wrong`` is true and ``diagnose`` agrees, in its words."""
    texts = cells.to_numpy(dtype=object)[wrong]
    for line, text in zip(_lines(cells, wrong), texts, strict=True):
        fault = _formula(text) if re.search(_FORMULA, text) else diagnose(text)
        if fault is not None:
            report.problem(
                fault.message, fix=fault.fix, line=line, column=str(cells.name), value=text
            )


def _flag_rows(table: pd.DataFrame, wrong: Mask, report: Report, column: str, fault: Unfit) -> None:
    """Notes each row where ``wrong`` is true, at an empty cell of ``column``."""
    for line in _lines(table, wrong):
        report.problem(fault.message, fix=fault.fix, line=line, column=column)


def _lines(rows: pd.Series | pd.DataFrame, where: Mask) -> list[int]:
    return rows.index.to_numpy()[where].tolist()


def _is_filled(table: pd.DataFrame, column: str) -> Mask:
    return table[column].notna().to_numpy(dtype=bool)


def _is_like(cells: pd.Series, pattern: str) -> Mask:
    """Where a cell is filled and matches as a whole."""
    return cells.str.fullmatch(pattern).fillna(False).to_numpy(dtype=bool)


def _has(cells: pd.Series, pattern: str) -> Mask:
    """Where a cell is filled and matches somewhere."""
    return cells.str.contains(pattern, regex=True).fillna(False).to_numpy(dtype=bool)


def _formula(_text: str) -> Unfit:
    return Unfit(
        "the cell holds a formula, or the error of one",
        "paste the values in place of the formulas before saving",
    )


def _outcome(reader: Reader, text: str) -> Reading | Unfit:
    try:
        return reader(text)
    except Unfit as unfit:
        return unfit


# --- script_id -----------------------------------------------------------------------------------


def check_script_ids(ids: pd.Series, report: Report) -> None:
    """Notes each ``script_id`` that is missing, cannot be a name, or is there twice."""
    filled = ids.notna().to_numpy(dtype=bool)
    nameless = Unfit("the row has no script_id", "give it a name of its own, such as welcome-01")
    if not report.incomplete:
        _flag_rows(ids.to_frame(), ~filled, report, "script_id", nameless)
    _flag(ids, filled & ~_is_like(ids, NAME), report, _diagnose_script_id)
    folded = ids.str.lower()
    doubled = folded.duplicated().to_numpy(dtype=bool) & filled
    if not doubled.any():
        return
    first: dict[str, tuple[int, str]] = {}
    for line, text in zip(_lines(ids, filled), ids.to_numpy(dtype=object)[filled], strict=True):
        first.setdefault(text.lower(), (line, text))

    def diagnose(text: str) -> Unfit:
        line, other = first[text.lower()]
        same = "" if other == text else f" as {shown(other)}; file names may not keep them apart"
        return Unfit(
            f"the script_id is taken by {report.row} {line}{same}",
            "give each row a name of its own",
        )

    _flag(ids, doubled, report, diagnose)


def _diagnose_script_id(text: str) -> Unfit:
    if re.fullmatch(_SCIENTIFIC, text):
        return _scientific()
    likely = re.sub(r"[^A-Za-z0-9_-]+", "-", re.sub(r"\.0+$", "", text)).strip("-")[:64]
    fix = f"write {likely}" if likely else "write a name such as welcome-01"
    if len(text) > 64:
        return Unfit(f"the script_id has {len(text)} characters; 64 are allowed", fix)
    odd = next(c for c in text if not re.fullmatch(NAME, c))
    name = f'"{odd}"' if odd.isprintable() else f"the invisible U+{ord(odd):04X}"
    return Unfit(f"the script_id holds {name}; letters A-Z, digits, _ and - are allowed", fix)


def _scientific() -> Unfit:
    return Unfit(
        "a spreadsheet has rounded the number and its digits are lost",
        "format the column as text and enter the number again",
    )


# --- voice and avatar ----------------------------------------------------------------------------


def _check_ways(table: pd.DataFrame, report: Report) -> None:
    script = _is_filled(table, "script")
    voices = np.array([_is_filled(table, column) for column in VOICE_COLUMNS])
    avatars = np.array([_is_filled(table, column) for column in AVATAR_COLUMNS])
    none = np.asarray(~voices.any(axis=0))
    voice_id, sample, recorded = (_is_filled(table, column) for column in VOICE_COLUMNS)
    faults: Sequence[tuple[Mask, str, str, str]] = (
        (
            none & script,
            "voice_id",
            "the row has a script but no voice",
            "fill voice_id, or voice_sample_url to have the script spoken in the sample's voice",
        ),
        (
            none & ~script,
            "script",
            "the row has nothing to speak: no script and no voice_url",
            "fill script and voice_id, or voice_url",
        ),
        (
            voice_id & ~script & ~recorded,
            "script",
            "the row has voice_id but no script",
            "write what is to be spoken",
        ),
        (
            sample & ~voice_id & ~script & ~recorded,
            "script",
            "the row has voice_sample_url but no script",
            "write what is to be spoken",
        ),
        (
            recorded & ~voice_id & ~sample & script,
            "script",
            "the row has both script and voice_url: the script would never be spoken",
            "keep one: empty voice_url or script (a transcript can go into a column of your own)",
        ),
        (
            np.asarray(~avatars.any(axis=0)),
            "avatar_id",
            "the row has no avatar",
            "fill avatar_id, or avatar_url with the link of a picture or a video",
        ),
    )
    for wrong, column, message, fix in () if report.incomplete else faults:
        _flag_rows(table, wrong, report, column, Unfit(message, fix))
    _flag_doubles(table, voices, VOICE_COLUMNS, report)
    _flag_doubles(table, avatars, AVATAR_COLUMNS, report)


def _flag_doubles(
    table: pd.DataFrame, filled: Mask, columns: Sequence[str], report: Report
) -> None:
    for row in np.flatnonzero(filled.sum(axis=0) > 1).tolist():
        given = [column for column, has in zip(columns, filled[:, row], strict=True) if has]
        both = "both " if len(given) == 2 else ""
        report.problem(
            f"the row has {both}{', '.join(given[:-1])} and {given[-1]}",
            fix=f"keep one and empty the other{'s' if len(given) > 2 else ''}",
            line=int(table.index.to_numpy()[row]),
            column=given[-1],
            value=table[given[-1]].iloc[row],
        )


def _check_akool_id(ids: pd.Series, report: Report) -> None:
    name = str(ids.name)
    link = "avatar_url" if name == "avatar_id" else "voice_sample_url or voice_url"

    def diagnose(text: str) -> Unfit:
        if re.fullmatch(_SCIENTIFIC, text):
            return _scientific()
        if "://" in text:
            return Unfit(f"{name} holds a link", f"move it to {link}")
        if "\n" in text:
            return Unfit(f"{name} holds a line break", f"write one {name}")
        return Unfit(f"{name} holds a word for nothing", "leave the cell empty")

    wrong = _has(ids, f"{_FORMULA}|://|\n|(?i:^(?:{_NOTHING}|{_SCIENTIFIC})$)")
    _flag(ids, wrong, report, diagnose)


def _check_links(links: pd.Series, endings: Collection[str], report: Report) -> None:
    filled = links.notna().to_numpy(dtype=bool)
    unsure = filled & (~_is_like(links, plain_link_pattern(endings)) | _has(links, VIEWERS))

    def diagnose(link: str) -> Unfit | None:
        outcome = _outcome(lambda text: check_link(text, endings), link)
        return outcome if isinstance(outcome, Unfit) else None

    _flag(links, unsure, report, diagnose)


# --- optional columns ----------------------------------------------------------------------------


def read_cells(cells: pd.Series, reader: Reader, report: Report) -> pd.Series:
    """The normal form of each cell; each different text is read once.

    Args:
        cells: A column.
        reader: Reads one text.
        report: Takes problems and repairs.

    Returns:
        The column in normal form; an empty text where the cell is wrong.
    """
    codes, texts = pd.factorize(cells)
    outcomes = {str(text): _outcome(reader, str(text)) for text in texts}
    faults = {text: o for text, o in outcomes.items() if isinstance(o, Unfit)}
    readings = [o if isinstance(o, Reading) else Reading("") for o in outcomes.values()]
    # The last entry is that of the code -1: an empty cell.
    wrong = np.array([*(text in faults for text in outcomes), False])[codes]
    repaired = np.array([*(reading.repaired for reading in readings), False])[codes]
    _flag(cells, wrong, report, lambda text: faults[text])
    if repaired.any():
        first = codes[repaired][0]
        report.repair_lines(
            f"brought into normal form, such as {shown(texts[first])} to {readings[first].text}",
            _lines(cells, repaired),
            column=str(cells.name),
        )
    normal = pd.array([reading.text for reading in readings], dtype=TEXT)
    return pd.Series(normal.take(codes, allow_fill=True), index=cells.index, name=cells.name)


def _check_size_pairs(table: pd.DataFrame, report: Report) -> None:
    for given, missing in (("width", "height"), ("height", "width")):
        alone = _is_filled(table, given) & ~_is_filled(table, missing)
        fault = Unfit(
            f"the row has {given} but no {missing}", f"fill {missing} too, or empty {given}"
        )
        _flag_rows(table, alone, report, missing, fault)


def _without_idle_rates(table: pd.DataFrame, report: Report) -> pd.Series:
    """The rates, but none for speech that exists: it is played as it is."""
    idle = _is_filled(table, "voice_url") & _is_filled(table, "rate")
    report.repair_lines(
        "ignored beside voice_url, which is played as it is", _lines(table, idle), column="rate"
    )
    return table["rate"].mask(idle, pd.NA)


# --- script --------------------------------------------------------------------------------------


def _check_scripts(scripts: pd.Series, report: Report) -> None:
    """Checks the scripts after they were filled: what is checked is what would be spoken."""
    filled = scripts.notna().to_numpy(dtype=bool)
    long = (scripts.str.len() > SCRIPT_CHARACTERS).fillna(False).to_numpy(dtype=bool)
    maybe_silent = filled & ~_has(scripts, "[A-Za-z0-9]")
    wrong = maybe_silent | long | _has(scripts, f"{_FORMULA}|{_DAMAGED}")

    def diagnose(text: str) -> Unfit | None:
        if re.search(_DAMAGED, text):
            return Unfit(
                "the script holds letters that an earlier conversion has damaged",
                "go back to the source of the text and save it as UTF-8",
            )
        if len(text) > SCRIPT_CHARACTERS:
            return Unfit(
                f"the script has {len(text):,} characters after filling; "
                f"{SCRIPT_CHARACTERS:,} are allowed",
                "shorten it, or split it into several rows",
            )
        if any(map(str.isalnum, text)):
            return None
        return Unfit("the script has no letter and no digit", "write what is to be spoken")

    _flag(scripts, wrong, report, diagnose)
