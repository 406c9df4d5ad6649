"""Which voice speaks which language: the user's ``voices.csv``, and the saved voice catalog.

``voices.csv`` lies in the data root and serves all manifests that have a column ``languages``::

    language,voice_id,from_voice_id
    de,Anna_de-DE,
    fr,Camille_fr-FR,
    fr,Louis_fr-FR,James_en-US

A line with ``from_voice_id`` is for rows that have this voice in their own language, a line without
it for all others. Other columns are the user's notes.
"""

from collections.abc import Collection, Sequence
from io import BytesIO

import pandas as pd
import pyarrow as pa

from akool_dagster.manifest.columns import Layout
from akool_dagster.manifest.files import VoiceFiles
from akool_dagster.manifest.report import ManifestError, Report
from akool_dagster.manifest.rules import read_cells
from akool_dagster.manifest.table_file import read_table
from akool_dagster.manifest.texts_file import pass_on
from akool_dagster.manifest.values import is_in_language, read_language

_SUGGESTED = 3


def _needed(_names: Collection[str]) -> Sequence[Sequence[str]]:
    return (("language",), ("voice_id",))


VOICE_MAP = Layout(
    what="a file of voices",
    row="language",
    columns=("language", "voice_id", "from_voice_id"),
    needed=_needed,
    example="language,voice_id",
)
"""The layout of ``voices.csv``."""


def read_voice_map(files: VoiceFiles | None, report: Report) -> pd.DataFrame:
    """Reads and checks the user's mapping.

    Args:
        files: Where it is.
        report: That of the manifest; takes the problems and repairs.

    Returns:
        The columns of `VOICE_MAP`, all text, the index being the line; empty without a file.

    Raises:
        ManifestError: It is there and cannot be read at all.
    """
    if files is None or not files.mapping.exists():
        return pd.DataFrame(columns=list(VOICE_MAP.columns), dtype="string[pyarrow]")
    own = Report(files.mapping)
    try:
        table, _ = read_table(files.mapping, own, layout=VOICE_MAP)
    except ManifestError as error:
        raise ManifestError(report.path, [*report.problems, *error.problems]) from error
    language = read_cells(table["language"], read_language, own)
    table = table[list(VOICE_MAP.columns)].assign(language=language)
    if not own.incomplete:
        _check(table, own)
    pass_on(own, report)
    return table.dropna(subset=["language", "voice_id"])


def _check(table: pd.DataFrame, report: Report) -> None:
    for column, fix in (
        ("language", "write two letters, such as de"),
        ("voice_id", "write the voice_id of a voice that speaks this language"),
    ):
        for line in table.index[table[column].isna().to_numpy(dtype=bool)].tolist():
            report.problem(f"the row has no {column}", fix=fix, line=line, column=column)
    doubled = table.duplicated(["language", "from_voice_id"]).to_numpy(dtype=bool)
    for line in table.index[doubled & table["language"].notna().to_numpy(dtype=bool)].tolist():
        report.problem(
            "this language has a voice already, in an earlier row",
            fix="keep one of the rows, or tell them apart by from_voice_id",
            line=line,
            column="language",
            value=table["language"].loc[line],
        )


def voices_that_speak(files: VoiceFiles | None, language: str, *, like: str | None) -> list[str]:
    """Suggests voices of the saved catalog.

    Args:
        files: Where it is.
        language: ISO 639-1 code.
        like: The voice that speaks in the row's own language.

    Returns:
        The ids of a few voices: own ones first, then those of the same gender; empty without a
        catalog that can be read.
    """
    if files is None or not files.catalog.exists():
        return []
    try:
        catalog = pd.read_parquet(BytesIO(files.catalog.read_bytes()))
        found = catalog[
            [is_in_language(str(words or ""), language) for words in catalog["language"]]
        ]
        gender = catalog.set_index("voice_id")["gender"].get(like)
        order = [
            (not own, gender is not None and its != gender)
            for own, its in zip(found["is_own"], found["gender"], strict=True)
        ]
    except (pa.ArrowException, OSError, ValueError, KeyError):  # a hint is worth no error
        return []
    ids = [str(voice) for voice in found["voice_id"]]
    ranked = sorted(zip(order, range(len(ids)), ids, strict=True))
    return [voice for _, _, voice in ranked[:_SUGGESTED]]
