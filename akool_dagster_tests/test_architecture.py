"""Rules of the house that no type checker sees."""

import ast
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

import akool_dagster
from akool_dagster.akool import AkoolClient

PACKAGE = Path(akool_dagster.__file__).parent
STAGES_THAT_PAY = {
    "batch/stages/avatar.py",
    "batch/stages/clone.py",
    "batch/stages/video.py",
    "batch/stages/voice.py",
}
PAID = {name for name in dir(AkoolClient) if name.startswith("create_")}


def _calls(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {
        node.func.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    }


def test_every_paid_create_is_a_wish_handed_to_the_one_door() -> None:
    assert {"create_speech", "create_cloned_speech", "create_video"} <= PAID
    callers = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if _calls(path) & PAID
    }
    assert callers == STAGES_THAT_PAY
    senders = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if "start_sending" in _calls(path)
    }
    assert senders == {"batch/creating.py"}


def test_the_wishes_send_only_inside_their_send_function() -> None:
    for name in STAGES_THAT_PAY:
        tree = ast.parse((PACKAGE / name).read_text(encoding="utf-8"))
        sends = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef) and n.name == "send"]
        inside = {id(call) for send in sends for call in _paid_calls(send)}
        assert {id(call) for call in _paid_calls(tree)} == inside


def _paid_calls(tree: ast.AST) -> list[ast.Call]:
    return [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in PAID
    ]


def test_definitions_load_with_no_environment_and_no_warning() -> None:
    clean = {"PATH": os.environ["PATH"]}
    command = [sys.executable, "-W", "error", "-c", "from akool_dagster.definitions import defs"]
    done = subprocess.run(command, env=clean, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("module", "libraries"),
    [
        ("definitions", {"pandas", "numpy", "pyarrow", "sqlalchemy", "requests", "av", "fsspec"}),
        ("assets.row_walk", {"pandas"}),
    ],
    ids=["every process of Dagster", "a run of scripts"],
)
def test_no_process_loads_libraries_that_it_does_not_use(module: str, libraries: set[str]) -> None:
    code = f"import sys, akool_dagster.{module}; print(*sys.modules)"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert not libraries.intersection(done.stdout.split())


def test_the_version_is_told_once() -> None:
    assert akool_dagster.__version__ == version("akool-dagster")
