"""From a file to validated rows: every error with its line, column, value and fix.

`read_manifest` reads a user's CSV or Parquet file and what goes with it; `read_scripts` reads the
checked copy that `Manifest.to_parquet_bytes` made of it. Both give a `Manifest`, whose ``rows()``
are what the rest of the package works with.
"""

from akool_dagster.manifest.columns import AVATAR_COLUMNS, COLUMNS, VOICE_COLUMNS
from akool_dagster.manifest.manifest import (
    Manifest,
    manifest_name,
    read_manifest,
    read_script_keys,
    read_scripts,
    write_scripts,
)
from akool_dagster.manifest.report import ManifestError, Problem, Repair
from akool_dagster.manifest.rows import ScriptRow
from akool_dagster.manifest.texts_file import find_texts
from akool_dagster.manifest.voice_files import VoiceFiles

__all__ = [
    "AVATAR_COLUMNS",
    "COLUMNS",
    "VOICE_COLUMNS",
    "Manifest",
    "ManifestError",
    "Problem",
    "Repair",
    "ScriptRow",
    "VoiceFiles",
    "find_texts",
    "manifest_name",
    "read_manifest",
    "read_script_keys",
    "read_scripts",
    "write_scripts",
]
