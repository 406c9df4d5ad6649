"""CSV files as people and their programs write them: encoding, delimiter, quotes, line numbers.

Python's own ``csv`` reader does the parsing because it alone tells on which physical line a record
starts when quoted texts hold line breaks; Arrow's and pandas' readers count records.
"""

import codecs
import csv
import io
import itertools
import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from akool_dagster.manifest.cells import Cells
from akool_dagster.manifest.columns import Layout, known_names, match_header
from akool_dagster.manifest.report import Report

_DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "vertical bar"}
_BLOCK = 500  # rows held as Python objects at a time; more would keep the garbage collector busy
_CHUNK = 1 << 20
_SAMPLE = 120  # bytes of a line shown with a guess of its encoding
_QUOTE_FAULTS = 20  # each makes the reader start again, so a hopeless file must end
_HEADER_LINES = 100  # a header may be spread over some lines by quoted line breaks

_SAVE = "save the file again as 'CSV UTF-8 (comma delimited)'"
_BOMS = (  # UTF-32 first: its mark begins with that of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_OTHER_FILES = (  # first bytes, what it is, what to do
    (b"PK\x03\x04", "an Excel workbook or another ZIP archive", f"open it and {_SAVE}"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook", f"open it and {_SAVE}"),
    (b"PAR1", "a Parquet file", "give it the ending .parquet"),
    (b"%PDF", "a PDF document", f"open the sheet that it was printed from and {_SAVE}"),
    (b"\x1f\x8b", "a gzip archive", "unpack it"),
    (b"{", "JSON or RTF", "convert it to CSV"),
    (b"[", "JSON", "convert it to CSV"),
)
_WEB_PAGE = re.compile(rb"\s*<(!doctype|html|head|body|table|\?xml|meta)", re.IGNORECASE)
# Runs of letters in a code page of one or two bytes a character, with one byte at least that is
# not ASCII.
_FOREIGN_WORD = re.compile(rb"[A-Za-z]*[\x80-\xff][A-Za-z\x80-\xff]{2,}")
# Bytes that Windows-1252 gives no meaning to.
_NOT_WINDOWS = re.compile(rb"[\x81\x8d\x8f\x90\x9d]")


def read_csv(data: bytes, report: Report, *, layout: Layout) -> Cells:
    """Reads the bytes of a CSV file.

    UTF-8, UTF-16 and UTF-32 are recognised, Windows-1252 is the reported last resort; the
    delimiter is a comma, semicolon, tab or vertical bar, whichever makes a header that is known.

    Args:
        data: The whole file.
        report: Takes repairs and problems. Rows of a wrong length and rows with a quote that is
            never closed become problems and are left out, so that all other rows are checked too.
        layout: The kind of file; its columns tell the delimiter.

    Returns:
        The cells, with true physical line numbers.

    Raises:
        ManifestError: The bytes are no CSV file with a header and rows.
    """
    _refuse_other_files(data, report, layout)
    encoding = _encoding(data, report)
    try:
        return _Parser(data, encoding, report, layout).cells()
    except UnicodeError as error:
        raise report.stop_with(
            f"the file begins as {encoding.upper()} but does not go on so: {error}", fix=_SAVE
        ) from error


def _refuse_other_files(data: bytes, report: Report, layout: Layout) -> None:
    if not data.strip(b"\0 \t\r\n\xef\xbb\xbf"):
        what = "the file is empty" if not data else "the file holds nothing but blanks"
        raise report.stop_with(what, fix=f"write a header line and one row for each {layout.row}")
    for start, what, fix in _OTHER_FILES:
        if data.startswith(start):
            raise report.stop_with(f"the file is {what}, not CSV", fix=fix)
    if _WEB_PAGE.match(data.removeprefix(codecs.BOM_UTF8)):
        raise report.stop_with(
            "the file is a web page (HTML or XML), not CSV: often the log-in page of the site "
            "that it was loaded from",
            fix="download the CSV file itself",
        )


def _encoding(data: bytes, report: Report) -> str:
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            if encoding != "utf-8-sig":
                report.repair(f"read as {encoding.upper()}")
            _refuse_nul(data, report, wide=encoding != "utf-8-sig")
            return encoding
    _refuse_nul(data, report, wide=False)
    fault = _utf8_fault(data)
    if fault is None:
        return "utf-8"
    return _windows_encoding(data, fault, report)


def _refuse_nul(data: bytes, report: Report, *, wide: bool) -> None:
    position = -1 if wide else data.find(b"\0")
    if position < 0:
        return
    hint = "UTF-16 without its mark" if data.count(b"\0") * 3 > len(data) else "a damaged file"
    raise report.stop_with(
        f"the file holds NUL bytes: it is {hint}, or no text at all",
        fix=_SAVE,
        line=_line_of(data, position),
    )


def _utf8_fault(data: bytes) -> int | None:
    """The position of the first byte that is not UTF-8, found without decoding all at once."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    for start in range(0, len(data) + 1, _CHUNK):
        pending = len(decoder.getstate()[0])
        chunk = data[start : start + _CHUNK]
        try:
            decoder.decode(chunk, final=start + _CHUNK > len(data))
        except UnicodeDecodeError as error:
            return start - pending + error.start
    return None


def _windows_encoding(data: bytes, fault: int, report: Report) -> str:
    line = _line_of(data, fault)
    if not data[:fault].isascii():
        raise report.stop_with("the text is UTF-8, but not from here on", fix=_SAVE, line=line)
    start = max(data.rfind(b"\n", 0, fault), data.rfind(b"\r", 0, fault)) + 1
    words = _FOREIGN_WORD.findall(data[start : start + _CHUNK])
    # A Western word has an accent or two; in Cyrillic, Greek or Japanese code pages most bytes
    # are foreign, and the Windows-1252 reading would be spoken as gibberish, and paid for.
    foreign = sum(sum(byte >= 0x80 for byte in word) * 2 > len(word) for word in words)
    if _NOT_WINDOWS.search(data) or foreign * 2 > len(words):
        raise report.stop_with(
            "the text is neither UTF-8 nor Western Windows-1252", fix=_SAVE, line=line
        )
    sample = re.split(rb"[\r\n]", data[start : start + _SAMPLE], maxsplit=1)[0].decode("cp1252")
    report.repair(
        f"the file is not UTF-8: read as Windows-1252, first in line {line}: {sample!r}", line=line
    )
    return "cp1252"


def _line_of(data: bytes, position: int) -> int:
    """The physical line of a byte; lines end as in Python's universal newlines."""
    return len(re.findall(rb"\r\n|\n|\r", data[:position])) + 1


class _Parser:
    """Reads the records of one CSV file, and starts again after a record that it cannot read."""

    def __init__(self, data: bytes, encoding: str, report: Report, layout: Layout) -> None:
        self._layout = layout
        self._data = data
        self._encoding = encoding
        self._report = report
        self._faults = 0
        self._hint = self._delimiter_hint()
        self._delimiter = self._hint or self._likely_delimiter()
        # "a, "b"" : only with this switch are quotes after a space quotes. It hides the spaces
        # from the report, so it is not always on.
        spaced = f'{self._delimiter} "'
        self._spaced = any(spaced in line for line in self._lines())

    def cells(self) -> Cells:
        """The whole file.

        Raises:
            ManifestError: There is no header, or no row.
        """
        report = self._report
        records = self._records()
        header_line, header = next((r for r in records if not _is_blank(r[1])), (None, []))
        if header_line is None:
            raise report.stop_with(
                "the file has no header line that can be read",
                fix="write the names of the columns in the first line",
            )
        if self._delimiter != ",":
            report.repair(f"read with the delimiter {_DELIMITERS[self._delimiter]}")
        names = match_header(header, report, line=header_line, layout=self._layout)
        blocks, lines = self._blocks(records, width=len(header))
        if not lines:
            raise report.stop_without_rows(row=self._layout.row)
        columns = [pa.chunked_array(parts, type=pa.large_string()) for parts in blocks]
        return Cells(names, columns, np.array(lines, dtype=np.int64), header_line)

    def _blocks(
        self, records: Iterator[tuple[int, list[str]]], *, width: int
    ) -> tuple[list[list[pa.Array]], list[int]]:
        """Turns the records into Arrow arrays, some thousand at a time, to save memory."""
        parts: list[list[pa.Array]] = [[] for _ in range(width)]
        lines: list[int] = []
        blank: list[int] = []
        good = self._of_width(records, width, blank)
        while block := list(itertools.islice(good, _BLOCK)):
            starts, rows = zip(*block, strict=True)
            lines.extend(starts)
            for part, column in zip(parts, zip(*rows, strict=True), strict=True):
                part.append(pa.array(column, pa.large_string()))
        self._report.repair_lines("empty rows left out", blank, of="row")
        return parts, lines

    def _of_width(
        self, records: Iterator[tuple[int, list[str]]], width: int, blank: list[int]
    ) -> Iterator[tuple[int, list[str]]]:
        trimmed: list[int] = []
        after_fault = False
        faults = self._faults
        for line, row in records:
            if self._faults > faults:
                after_fault, faults = True, self._faults
            if _is_blank(row):
                blank.append(line)
            elif len(row) == width:
                after_fault = False
                yield line, row
            elif _is_blank(row[width:]) and len(row) > width:
                trimmed.append(line)
                yield line, row[:width]
            elif not after_fault:  # right after a bad quote these would be its echoes
                self._wrong_width(line, row, width)
        self._report.repair_lines("surplus empty cells left out", trimmed, of="row")

    def _wrong_width(self, line: int, row: Sequence[str], width: int) -> None:
        name = _DELIMITERS[self._delimiter]
        many = len(row) > width
        self._report.problem(
            f"the row has {len(row)} cells, the header {width}",
            fix=f"put a text that holds a {name} in double quotes"
            if many
            else f"write a {name} also for an empty cell",
            line=line,
            value=self._delimiter.join(row[width:] if many else row),
        )

    def _records(self) -> Iterator[tuple[int, list[str]]]:
        """All records with their first lines; a faulty one is noted, and the next line tried."""
        start = 1 if self._hint is None else 2
        while True:
            reader = self._reader(self._lines(after=start - 1))
            line = start
            try:
                for row in reader:
                    yield line, row
                    line = start + reader.line_num
                return
            except csv.Error as error:
                start = self._note_fault(line, start + reader.line_num - 1, str(error)) + 1

    def _note_fault(self, first: int, last: int, error: str) -> int:
        """Notes a record that the reader gave up on, and returns the line of its bad quote."""
        opened = _opening_line(self._lines(after=first - 1), self._delimiter, last - first + 1)
        line = first if opened is None else first + opened
        self._faults += 1
        if "expected after" in error:
            what = f"a quoted text starts here and ends in line {last}, where more text follows"
        else:
            what = "a quoted text starts here and its closing quote is missing"
        if "limit" in error:
            what += f", or it is longer than {csv.field_size_limit():,} characters"
        if opened is None:
            what = f"the row cannot be read: {error}"
        self._report.problem(
            what,
            fix='close the text with a double quote; a quote inside of it is written twice: ""',
            line=line,
            value=next(self._lines(after=line - 1), "").strip(),
        )
        if self._faults >= _QUOTE_FAULTS:
            raise self._report.stop_with(
                f"{_QUOTE_FAULTS} rows have such quotes: the rest of the file was not read",
                fix="let a spreadsheet or a CSV library write the file",
                line=line,
            )
        return line

    def _reader(self, lines: Iterator[str], *, delimiter: str | None = None) -> Any:
        return csv.reader(
            lines,
            delimiter=delimiter or self._delimiter,
            skipinitialspace=delimiter is None and self._spaced,
            strict=True,
        )

    def _lines(self, *, after: int = 0) -> Iterator[str]:
        stream = io.TextIOWrapper(io.BytesIO(self._data), encoding=self._encoding, newline="")
        return itertools.islice(stream, after, None)

    def _delimiter_hint(self) -> str | None:
        """The delimiter of Excel's own first line ``sep=;``, if there is one."""
        first = next(self._lines(), "").strip().strip('"').lower()
        hint = first.removeprefix("sep=")
        return hint if first.startswith("sep=") and hint in _DELIMITERS else None

    def _likely_delimiter(self) -> str:
        """The delimiter under which the header has most known names, then most names."""

        def score(delimiter: str) -> tuple[int, int]:
            lines = itertools.islice(self._lines(), _HEADER_LINES)
            try:
                header = next(filter(None, self._reader(lines, delimiter=delimiter)), [])
            except csv.Error:
                return 0, 0
            return known_names(header, self._layout), len(header)

        return max(_DELIMITERS, key=score)


def _is_blank(row: Sequence[str]) -> bool:
    return not any(map(str.strip, row))


def _opening_line(lines: Iterator[str], delimiter: str, count: int) -> int | None:
    """On which of ``count`` lines, from 0, the quoted cell opens that breaks the record."""
    opened = None
    state = "start"  # of a cell; then "plain", "quoted" or "closed"
    for number, line in enumerate(itertools.islice(lines, count)):
        for character in line:
            if state == "quoted":
                state = "closed" if character == '"' else state
            elif character == '"' and state == "closed":
                state = "quoted"
            elif character == '"' and state == "start":
                state, opened = "quoted", number
            elif character == delimiter:
                state = "start"
            elif state == "closed":
                return opened
            elif character != " ":
                state = "plain"
    return opened
