"""From a file to validated rows: every error with its line, column, value and fix.

`read_manifest` reads a user's CSV or Parquet file and what goes with it; `read_scripts` and
`read_rows` read the checked copy that `Manifest.to_parquet_bytes` made of it. All of them give
`ScriptRow`, which the rest of the package works with.

What needs pandas or Arrow is imported when it is first asked for: the two take half a second.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from akool_dagster.manifest.columns import AVATAR_COLUMNS, COLUMNS, VOICE_COLUMNS
from akool_dagster.manifest.files import VoiceFiles, find_texts, manifest_name
from akool_dagster.manifest.report import ManifestError, Problem, Repair
from akool_dagster.manifest.rows import ScriptRow

if TYPE_CHECKING:
    from akool_dagster.manifest.manifest import (
        Manifest,
        read_manifest,
        read_scripts,
        write_scripts,
    )
    from akool_dagster.manifest.scripts import read_rows, read_script_keys

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
    "read_rows",
    "read_script_keys",
    "read_scripts",
    "write_scripts",
]

_MODULES = {
    "Manifest": "manifest",
    "read_manifest": "manifest",
    "read_rows": "scripts",
    "read_script_keys": "scripts",
    "read_scripts": "manifest",
    "write_scripts": "manifest",
}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
