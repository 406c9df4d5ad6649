"""Scenario files: a bad night written down, to be rehearsed again and again.

A scenario is a TOML file with the names of `EmulatorConfig`, for example::

    seed = 7
    speed = 60.0
    slots = 2

    [webhooks]
    late = 900.0

    [[faults]]
    kind = "drop"
    on = "POST */talkingavatar/create"
    probability = 0.1

Tables are ``times``, ``prices``, ``shapes``, ``webhooks`` and ``faults``. Credentials and
``state_dir`` have no place in it. ``docs/scenarios/`` has examples and tells what a seed decides.
"""

import difflib
import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from akool_dagster.emulator.config import EmulatorConfig
from akool_dagster.emulator.faults import Fault, FaultKind

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

_NOT_FOR_FILES = frozenset({"api_keys", "clients", "state_dir"})
_LONGEST_VALUE = 80  # characters of a bad value that a message repeats


def load_scenario(path: str | Path, *, speed: float | None = None) -> EmulatorConfig:
    """Reads a scenario file.

    Args:
        path: A TOML file in UTF-8.
        speed: Virtual seconds per second where the file names no speed.

    Raises:
        OSError: When the file cannot be read.
        ValueError: When it is not TOML, or for an unknown key or a bad value; each problem is a
            line that names the file, the key, the value and what is allowed.
    """
    content = _parsed(Path(path))
    problems = list(_unknown_keys(content, EmulatorConfig(), ""))
    if not problems:
        config, problems = _validated(content if speed is None else {"speed": speed, **content})
        if config is not None:
            return config
    raise ValueError("\n".join(f"Scenario {path}: {problem}" for problem in problems))


def _parsed(path: Path) -> dict[str, Any]:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib

    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:  # of the encoding or of the grammar
        raise ValueError(f"Scenario {path} is not a TOML file: {error}") from error


def _unknown_keys(table: Mapping[str, Any], settings: Any, where: str) -> Iterator[str]:
    known = sorted({item.name for item in fields(settings)} - _NOT_FOR_FILES)
    for name, value in table.items():
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {close[0]!r}? There" if close else "there"
            yield f"there is no key {where + name!r} (value {_shown(value)}); {hint} are {known}."
        elif name == "faults" and isinstance(value, list):
            for number, item in enumerate(value):
                if isinstance(item, dict):
                    yield from _unknown_keys(item, Fault(kind="drop"), f"faults[{number}].")
        elif isinstance(value, dict) and is_dataclass(getattr(settings, name)):
            yield from _unknown_keys(value, getattr(settings, name), f"{where}{name}.")


def _validated(content: dict[str, Any]) -> tuple[EmulatorConfig | None, list[str]]:
    from pydantic import TypeAdapter, ValidationError

    try:
        # As JSON, because strict checks take a list for a tuple there and nothing else loosely.
        text = json.dumps(content, default=str)
        return TypeAdapter(EmulatorConfig).validate_json(text, strict=True), []
    except ValidationError as error:
        return None, [_told(detail) for detail in error.errors(include_url=False)]


def _told(detail: "ErrorDetails") -> str:
    where = _dotted(detail["loc"])
    own = detail.get("ctx", {}).get("error")
    if isinstance(own, ValueError):  # of our own checks: names the field, the value, the allowed
        return f"{where}: {own}" if where else str(own)
    if detail["type"] == "missing":  # nothing but the kind of a fault is required
        return f"{where} is missing; it must be one of {get_args(FaultKind)}."
    wanted = detail["msg"].replace("Input should be", "it must be").rstrip(".")
    return f"{where} is {_shown(detail['input'])}; {wanted}."


def _dotted(parts: tuple[int | str, ...]) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts)
    return text.removeprefix(".")


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}..."
