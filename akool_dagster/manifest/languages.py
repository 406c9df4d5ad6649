"""One row, several languages: a row that names languages becomes one script for each of them.

A cell ``de, fr`` in the column ``languages`` of the row ``welcome`` makes the scripts
``welcome-de`` and ``welcome-fr``, in the row's place and order. Nothing is translated here. What
is spoken in a language is always a text that the user wrote in it, looked for

1. in the column ``script_de`` of the row, or the companion's row for it (`texts_file`);
2. in ``script`` itself, if ``language`` says that it is in this language.

The voice of a language is looked for

1. in ``voice_id_de`` (or ``voice_sample_url_de``, ``voice_url_de``), or the companion's row;
2. in the row's own voice, if ``language`` says that it speaks this language, or if it is a
   ``voice_sample_url``: a person's own voice is meant for every language of the row;
3. in ``voices.csv`` (`voice_files`).

Any other of `texts_file.LOCAL_COLUMNS` may come by language as well, and is the row's own where it
does not. A text or a voice that is nowhere is a problem, never a guess.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from akool_dagster.manifest.cells import TEXT
from akool_dagster.manifest.columns import (
    AVATAR_COLUMNS,
    LANGUAGES,
    VOICE_COLUMNS,
    closest,
    fold,
)
from akool_dagster.manifest.files import NAME_LENGTH, VoiceFiles
from akool_dagster.manifest.report import Report, shown
from akool_dagster.manifest.rules import check_script_ids, read_cells
from akool_dagster.manifest.texts_file import LOCAL_COLUMNS, TEXTS
from akool_dagster.manifest.values import read_language, read_languages
from akool_dagster.manifest.voice_files import voices_that_speak

Mask = NDArray[np.bool_]
Positions = NDArray[np.int64]

_NOWHERE = -1
_HINTED = 50  # problems that get a "did you mean"


def local_column(column: str, language: str) -> str:
    """The name of the column that holds ``column`` in one language, such as ``script_de``.

    Indonesian texts stand in ``script_id_ID``: ``script_id`` is the name of the row.
    """
    name = f"{column}_{language}"
    return f"{name}_{language.upper()}" if fold(name) == "scriptid" else name


@dataclass(frozen=True, kw_only=True)
class Companions:
    """What goes with a manifest.

    Attributes:
        texts: What `texts_file.read_texts` read, if there is such a file.
        texts_name: The name of that file, or what it would be called.
        texts_row: What its rows are counted in, ``line`` or ``row``.
        voice_map: What `voice_files.read_voice_map` read.
        voice_files: Where that and the saved catalog are.
    """

    texts: pd.DataFrame | None
    texts_name: str
    voice_map: pd.DataFrame
    voice_files: VoiceFiles | None


@dataclass(frozen=True, kw_only=True)
class FannedOut:
    """The scripts that the rows of a manifest stand for.

    Attributes:
        table: A table as `cells.to_table` makes it, one row for each script; the index counts them.
        lines: The line of the manifest that each script comes from.
        report: Takes what is found in the table, and says it of the cell that it came from.
    """

    table: pd.DataFrame
    lines: NDArray[np.int64]
    report: Report


def names_languages(table: pd.DataFrame) -> bool:
    """Whether any row of a manifest's table names a language."""
    return LANGUAGES in table.columns and bool(table[LANGUAGES].notna().any())


def fan_out(table: pd.DataFrame, report: Report, companions: Companions) -> FannedOut:
    """Lays out one script for each language of each row; a row without languages stays one.

    Args:
        table: The manifest's table as `cells.to_table` makes it.
        report: Takes the problems: a text or a voice that is missing, a name that is too long or
            taken.
        companions: The texts and voices beside the manifest.

    Returns:
        The scripts, in the order of the manifest.
    """
    problems_before = len(report.problems)
    check_script_ids(table["script_id"], report)
    ids_are_good = len(report.problems) == problems_before
    rows, languages = _spread(table, report)
    fan = _Fan(table, rows, languages, report, companions)
    fan.pick()
    origins = _Origins(
        lines=table.index.to_numpy()[rows],
        columns={column: pool.places() for column, pool in fan.pools.items()},
        is_incomplete=fan.refuse_missing(),
    )
    fan.note_unused()
    scripts = fan.table()
    if ids_are_good:
        _refuse_names(scripts["script_id"], languages, origins.lines, report)
    return FannedOut(table=scripts, lines=origins.lines, report=_OriginReport(report, origins))


def _spread(table: pd.DataFrame, report: Report) -> tuple[Positions, NDArray[np.object_]]:
    """For each script the position of its row and its language, "" in a row that names none."""
    codes, cells = pd.factorize(table[LANGUAGES])
    lists: list[Sequence[str]] = []
    for number, cell in enumerate(map(str, cells)):
        found, faults = read_languages(cell)
        lists.append(found)
        for word, fault in faults:
            for line in table.index[codes == number].tolist():
                report.problem(
                    fault.message, fix=fault.fix, line=line, column=LANGUAGES, value=word
                )
    lists.append(("",))  # of the code -1: an empty cell
    sizes = np.array([len(found) for found in lists])
    starts = np.cumsum(sizes) - sizes
    counts = sizes[codes]
    rows = np.repeat(np.arange(len(table)), counts)
    within = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    every = np.array([code for found in lists for code in found], dtype=object)
    return rows, every[starts[codes][rows] + within]


class _Pool:
    """All cells from which one column of the scripts is filled, part after part."""

    def __init__(self, row_count: int) -> None:
        self._parts: list[pd.Series] = []
        self._names: list[tuple[str | None, str]] = []
        self._starts: list[int] = []
        self._size = 0
        self.picks: Positions = np.full(row_count, _NOWHERE, dtype=np.int64)

    def add(self, cells: pd.Series, *, file: str | None) -> int:
        """Adds a column of a file and returns where it starts in the pool."""
        start = self._size
        self._parts.append(cells)
        self._names.append((file, str(cells.name)))
        self._starts.append(start)
        self._size += len(cells)
        return start

    def values(self) -> pd.Series:
        """The picked cells, NA where none was picked."""
        every = pd.concat(self._parts, ignore_index=True).astype(TEXT)
        return pd.Series(every.array.take(self.picks, allow_fill=True))

    def places(self) -> "_Places":
        """Where the picked cells stand."""
        lines = np.concatenate([part.index.to_numpy() for part in self._parts])
        return _Places(
            picks=self.picks, starts=np.array(self._starts), names=self._names, lines=lines
        )


@dataclass(frozen=True, kw_only=True)
class _Places:
    """The file, line and column of the cells that fill one column of the scripts."""

    picks: Positions
    starts: NDArray[np.int64]
    names: Sequence[tuple[str | None, str]]
    lines: NDArray[np.int64]

    def of(self, script: int) -> tuple[str | None, int, str] | None:
        """The place of one script's cell; a file of None is the manifest."""
        pick = int(self.picks[script])
        if pick == _NOWHERE:
            return None
        file, column = self.names[int(np.searchsorted(self.starts, pick, side="right")) - 1]
        return file, int(self.lines[pick]), column


@dataclass(frozen=True, kw_only=True)
class _Origins:
    """Where the cells of the scripts stand in the user's files.

    Attributes:
        lines: The line of each script's row in the manifest.
        columns: The places of the cells that may come by language.
        is_incomplete: Whether a script has no text or no voice, and that was noted.
    """

    lines: NDArray[np.int64]
    columns: dict[str, _Places]
    is_incomplete: Mask


class _OriginReport(Report):
    """Takes what is found in the table of scripts, and says it of the user's own cells."""

    def __init__(self, report: Report, origins: _Origins) -> None:
        super().__init__(report.path)
        self.problems = report.problems
        self.repairs = report.repairs
        self.incomplete = report.incomplete
        self._origins = origins

    def problem(
        self,
        message: str,
        *,
        fix: str,
        line: int | None = None,
        column: str | None = None,
        value: object = None,
        file: str | None = None,
    ) -> None:
        """Notes a problem; ``line`` counts the scripts."""
        if line is not None:
            is_told = bool(self._origins.is_incomplete[line]) and value is None
            if is_told and column in ("script", "voice_id"):
                return
            places = self._origins.columns.get(column or "")
            place = places.of(line) if places else None
            row = int(self._origins.lines[line])
            file, line, column = place or (None, row, column)
            if file is not None:
                message += f" (for {self.row} {row} of {self.path.name})"
        super().problem(message, fix=fix, line=line, column=column, value=value, file=file)

    def repair_lines(
        self, what: str, lines: Sequence[int], *, column: str | None = None, of: str = "cell"
    ) -> None:
        """Notes a repair; ``lines`` count the scripts."""
        rows = np.unique(self._origins.lines[np.asarray(lines, dtype=np.int64)])
        super().repair_lines(what, rows.tolist(), column=column, of=of)


class _Fan:
    """Chooses the cell that fills each column of each script."""

    def __init__(
        self,
        table: pd.DataFrame,
        rows: Positions,
        languages: NDArray[np.object_],
        report: Report,
        companions: Companions,
    ) -> None:
        self._table = table
        self._rows = rows
        self._languages = languages
        self._report = report
        self._beside = companions
        self._names = {fold(name): name for name in table.columns}
        self._fans = languages != ""
        self._scripts_in = {
            str(code): np.flatnonzero(languages == code)
            for code in pd.unique(languages[self._fans])
        }
        self._columns_by_language: set[str] = set()
        self._source_language = read_cells(table["language"], read_language, report)
        self.pools = {column: _Pool(len(rows)) for column in LOCAL_COLUMNS}

    # -- choosing

    def pick(self) -> None:
        """Chooses the cells; what comes by language goes before what the row says itself."""
        by_language = {column: self._by_language(column) for column in LOCAL_COLUMNS}
        own_voice = self._is_own_language & ~_any(by_language, VOICE_COLUMNS)
        own_sample = ~_any(by_language, VOICE_COLUMNS)
        kept = {
            "script": self._is_own_language & (by_language["voice_url"] == _NOWHERE),
            **dict.fromkeys(VOICE_COLUMNS, own_voice),
            "voice_sample_url": own_sample,
            **dict.fromkeys(AVATAR_COLUMNS, ~_any(by_language, AVATAR_COLUMNS)),
        }
        for column, pool in self.pools.items():
            start = pool.add(self._table[column], file=None)
            filled = _is_filled(self._table[column])[self._rows] & kept.get(column, True)
            own = np.where(filled, start + self._rows, _NOWHERE)
            pool.picks = np.where(by_language[column] == _NOWHERE, own, by_language[column])
        self._pick_from_voice_map()

    @cached_property
    def _is_own_language(self) -> Mask:
        """Where the row's own text and voice are in the script's language."""
        own = self._source_language.to_numpy(dtype=object, na_value="")[self._rows]
        return ~self._fans | (own == self._languages)

    def _by_language(self, column: str) -> Positions:
        """The cells of a column that are there for the scripts' own languages."""
        pool = self.pools[column]
        picks = np.full(len(self._rows), _NOWHERE, dtype=np.int64)
        for code, scripts in self._scripts_in.items():
            name = self._names.get(fold(local_column(column, code)))
            if name is not None:
                start = pool.add(self._table[name], file=None)
                filled = scripts[_is_filled(self._table[name])[self._rows[scripts]]]
                picks[filled] = start + self._rows[filled]
                self._columns_by_language.add(name)
                self._note_unasked(name, scripts)
        texts = self._beside.texts
        if texts is not None:
            start = pool.add(texts[column], file=self._beside.texts_name)
            there = np.flatnonzero(self._text_rows != _NOWHERE)
            filled = there[_is_filled(texts[column])[self._text_rows[there]]]
            self._refuse_twice(filled[picks[filled] != _NOWHERE], column)
            picks[filled] = start + self._text_rows[filled]
        return picks

    @cached_property
    def _text_rows(self) -> Positions:
        """For each script the position of its row in the companion."""
        found = np.full(len(self._rows), _NOWHERE, dtype=np.int64)
        texts = self._beside.texts
        if texts is None:
            return found
        ids = self._table["script_id"].str.lower()
        codes = texts["language"].to_numpy(dtype=object)
        for code, scripts in self._scripts_in.items():
            positions = np.flatnonzero(codes == code)
            if len(positions):
                index = pd.Index(texts["script_id"].iloc[positions]).get_indexer(ids)
                hits = np.where(index == _NOWHERE, _NOWHERE, positions[index])
                found[scripts] = hits[self._rows[scripts]]
        return found

    def _pick_from_voice_map(self) -> None:
        """Takes the mapped voice for the scripts that have no voice yet."""
        mapped, pool = self._beside.voice_map, self.pools["voice_id"]
        if mapped.empty:
            return
        start = pool.add(mapped["voice_id"], file=self._voice_map_name)
        open_ = self._fans & ~_any({c: self.pools[c].picks for c in VOICE_COLUMNS}, VOICE_COLUMNS)
        voices, names = pd.factorize(self._table["voice_id"])
        for code, scripts in self._scripts_in.items():
            lines = np.flatnonzero((mapped["language"] == code).fillna(False).to_numpy(dtype=bool))
            by_voice = dict(zip(mapped["from_voice_id"].iloc[lines].fillna(""), lines, strict=True))
            general = by_voice.get("", _NOWHERE)
            choice = np.array([*(by_voice.get(str(name), general) for name in names), general])
            wanted = scripts[open_[scripts]]
            chosen = choice[voices[self._rows[wanted]]]
            pool.picks[wanted] = np.where(chosen == _NOWHERE, _NOWHERE, start + chosen)

    @property
    def _voice_map_name(self) -> str:
        files = self._beside.voice_files
        return files.mapping.name if files is not None else "voices.csv"

    # -- what is missing

    def refuse_missing(self) -> Mask:
        """Notes the scripts that have no text or no voice, and returns which they are."""
        spoken = _any({c: self.pools[c].picks for c in VOICE_COLUMNS}, VOICE_COLUMNS)
        text = (self.pools["script"].picks != _NOWHERE) | (
            self.pools["voice_url"].picks != _NOWHERE
        )
        for code, scripts in self._scripts_in.items():
            self._refuse_no_text(code, scripts, scripts[~text[scripts]])
            self._refuse_no_voice(code, scripts[~spoken[scripts]])
        return self._fans & ~(spoken & text)

    def _refuse_no_text(self, code: str, scripts: Positions, missing: Positions) -> None:
        column = local_column("script", code)
        many = len(missing) > 1 and len(missing) == len(scripts)
        for number, script in enumerate(missing[:1] if many else missing):
            fix = (
                f"fill {column}, or give the text in {self._beside.texts_name} "
                f"(script_id {self._id(script)}, language {code}), or take {code} out of languages"
            )
            if self._has_unplaced_script(script):
                fix += f"; if script is in {code}, write {code} into the column language"
            elif number < _HINTED and (meant := self._meant_text(script, code)):
                fix += f"; is {shown(meant)} in {self._beside.texts_name} meant for it?"
            lines = self._lines(missing)
            self._report.problem(
                f"no row has a text in {code} ({len(lines):,} ask for it: "
                f"{self._report.in_lines(lines)})"
                if many
                else f"the row has no text in {code}, and nothing is translated here",
                fix=fix,
                line=self._line(script),
                column=column,
            )

    def _refuse_no_voice(self, code: str, missing: Positions) -> None:
        if not len(missing):
            return
        lines = self._lines(missing)
        own_ids = self._table["voice_id"].to_numpy(dtype=object, na_value=None)[self._rows[missing]]
        files = self._beside.voice_files
        where = f" into {files.mapping}" if files is not None else f" into {self._voice_map_name}"
        speakers = voices_that_speak(files, code, like=own_ids[0])
        hint = f"; your catalog has for {code}: {', '.join(speakers)}" if speakers else ""
        self._report.problem(
            f"no voice is given for {code} ({self._report.in_lines(lines)})",
            fix=f"write the line {code},{speakers[0] if speakers else 'VOICE_ID'}{where} (header: "
            f"language,voice_id), or fill {local_column('voice_id', code)}{hint}",
            line=lines[0],
            column=local_column("voice_id", code),
            value=own_ids[0],
        )

    def _refuse_twice(self, scripts: Positions, column: str) -> None:
        texts = self._beside.texts
        assert texts is not None  # noqa: S101 - nothing is there twice without it
        for script in scripts.tolist():
            code = str(self._languages[script])
            name = local_column(column, code)
            self._report.problem(
                f"{column} in {code} is given here and in {name} of {self._report.path.name}, "
                f"{self._report.row} {self._line(script)}",
                fix="keep one of the two",
                file=self._beside.texts_name,
                line=int(texts.index[self._text_rows[script]]),
                column=column,
                value=texts[column].iloc[self._text_rows[script]],
            )

    def _has_unplaced_script(self, script: int) -> bool:
        row = self._rows[script]
        return bool(
            self._table["script"].notna().iloc[row] and self._table["language"].isna().iloc[row]
        )

    def _meant_text(self, script: int, code: str) -> str | None:
        texts = self._beside.texts
        if texts is None:
            return None
        unused = texts.iloc[self._unused_texts]
        return closest(self._id(script), unused["script_id"][unused["language"] == code])

    # -- what is left over

    @cached_property
    def _unused_texts(self) -> Positions:
        count = 0 if self._beside.texts is None else len(self._beside.texts)
        return np.setdiff1d(np.arange(count), self._text_rows)

    def _note_unasked(self, name: str, scripts: Positions) -> None:
        """Notes the cells of a column by language in rows that do not name the language."""
        asked = np.zeros(len(self._table), dtype=bool)
        asked[self._rows[scripts]] = True
        self._report.repair_lines(
            "left out, because the row's languages do not name this one",
            self._table.index.to_numpy()[_is_filled(self._table[name]) & ~asked].tolist(),
            column=name,
        )

    def note_unused(self) -> None:
        """Notes the companion's texts that no row asks for: they may be there for another day."""
        texts = self._beside.texts
        if texts is not None and len(self._unused_texts):
            own = Report(self._report.path.with_name(self._beside.texts_name))
            lines = texts.index.to_numpy()[self._unused_texts].tolist()
            own.repair_lines("texts that no row asks for left out", lines, of="text")
            self._report.repair(f"{self._beside.texts_name}: {own.repairs[0]}")

    # -- the table

    def table(self) -> pd.DataFrame:
        """The scripts, their cells chosen; a file's other columns as they are in its row."""
        taken = self._table.drop(columns=[LANGUAGES, *self._columns_by_language]).iloc[self._rows]
        taken = taken.reset_index(drop=True)
        for column, pool in self.pools.items():
            taken[column] = pool.values()
        suffixes = pd.array(np.where(self._fans, "-" + self._languages, ""), dtype=TEXT)
        taken["script_id"] = taken["script_id"] + suffixes
        own = self._source_language.replace("", pd.NA).iloc[self._rows].reset_index(drop=True)
        codes = pd.Series(self._languages, dtype=TEXT).where(self._fans)
        taken["language"] = codes.fillna(own)
        for name, cells in self._extra_texts():
            known = next((c for c in taken.columns if fold(c) == fold(name)), name)
            taken[known] = cells.fillna(taken[known]) if known in taken.columns else cells
        return taken

    def _extra_texts(self) -> list[tuple[str, pd.Series]]:
        texts = self._beside.texts
        if texts is None:
            return []
        names = [name for name in texts.columns if name not in TEXTS.columns]
        return [
            (name, pd.Series(texts[name].array.take(self._text_rows, allow_fill=True)))
            for name in names
        ]

    def _id(self, script: int) -> str:
        return str(self._table["script_id"].iloc[self._rows[script]])

    def _line(self, script: int) -> int:
        return int(self._table.index[self._rows[script]])

    def _lines(self, scripts: Positions) -> list[int]:
        return self._table.index.to_numpy()[self._rows[scripts]].tolist()


def _any(picks: dict[str, Positions], columns: Sequence[str]) -> Mask:
    return np.logical_or.reduce([picks[column] != _NOWHERE for column in columns])


def _is_filled(cells: pd.Series) -> Mask:
    return cells.notna().to_numpy(dtype=bool)


def _refuse_names(
    ids: pd.Series, languages: NDArray[np.object_], lines: NDArray[np.int64], report: Report
) -> None:
    """Notes the names of scripts that are too long, or taken by another script."""
    long = (ids.str.len() > NAME_LENGTH).fillna(False).to_numpy(dtype=bool)
    for script in np.flatnonzero(long).tolist():
        name, code = str(ids.iloc[script]), languages[script]
        report.problem(
            f"with its language this is {name}, of {len(name)} characters; {NAME_LENGTH} are "
            "allowed",
            fix=f"shorten the script_id to {NAME_LENGTH - len(code) - 1} characters",
            line=int(lines[script]),
            column="script_id",
            value=name.removesuffix(f"-{code}"),
        )
    folded = ids.str.lower()
    doubled = folded.duplicated(keep="first").to_numpy(dtype=bool)
    if not doubled.any():
        return
    first = {name: script for script, name in reversed(list(enumerate(folded)))}
    for script in np.flatnonzero(doubled).tolist():
        other = first[folded.iloc[script]]
        report.problem(
            f"{_made(ids, languages, script)} is taken by {report.row} {lines[other]}"
            + (f" in {languages[other]}" if languages[other] else ""),
            fix="give one of the two rows another script_id",
            line=int(lines[script]),
            column="script_id",
            value=ids.iloc[script],
        )


def _made(ids: pd.Series, languages: NDArray[np.object_], script: int) -> str:
    code = languages[script]
    return f"the script_id {ids.iloc[script]}, made for {code}," if code else "the script_id"
