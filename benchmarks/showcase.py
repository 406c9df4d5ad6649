"""Everyone's own presenters and voices, in every language: one data root, from nothing to the end.

``python -m benchmarks.showcase --rows 200`` writes a manifest whose rows each become three scripts
(English in the row, German and French in the companion file), with four own avatars, five cloned
voices, template variables, and rows that share their content. It is made on the emulator with the
commands that a person types; ``--from ui`` uploads and makes it by backfills of a running
``dagster dev``, launched as the UI launches them. What was paid is compared with what was written
into the sheet, not with what the program says of itself.
"""

import argparse
import csv
import hashlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from akool_dagster.media import UnplayableMedia, check_video, probe
from akool_dagster_tests.processes import wait_until
from benchmarks.deployment import (
    SCRIPTS,
    Akool,
    Dagster,
    clean_environment,
    dagster_dev,
    emulator,
    machine,
)
from benchmarks.termination import end_on_sigterm

NAME = "showcase"
AVATARS = ("Kim01", "Lee02", "Moe03", "Noa04")
OFFICIAL_AVATAR = "Jane_in_Blue_2024"
SAMPLES = ("Emma_en-US", "James_en-US", "Olivia_en-GB", "Anna_de-DE", "Louis_fr-FR")
"""Voices of the emulator whose previews serve as five people's samples."""
OFFICIAL_VOICES = {"en": "George_en-GB", "de": "Felix_de-DE", "fr": "Camille_fr-FR"}
TEXTS = {
    "en": "Hello {{customer}}, this is number {{number}} of our tour.",
    "de": "Guten Tag, {{customer}}! Das ist Nummer {{number}} unserer Tour.",
    "fr": "Bonjour {{customer}}, voici le numéro {{number}} de notre visite.",
}
ROW_ASSETS = ("voice_files", "video_requests", "downloaded_videos")
KINDS = ("avatar", "clone", "voice", "video")

# A job takes some hundredths of a second.
_AT_ONCE = ("--speed", "1000", "--tiny-media", "--slots", "100000")
_PATIENCE_SECONDS = 300


@dataclass(frozen=True, kw_only=True)
class Line:
    """One row of the manifest.

    Attributes:
        script_id: Its name.
        number: Is spoken.
        customer: Is spoken.
        avatar: Its ``avatar_id``.
        sample: Link to the sample of its voice; empty for the official voices.
    """

    script_id: str
    number: int
    customer: str
    avatar: str
    sample: str

    def spoken(self, language: str) -> tuple[str, str]:
        """What is spoken in a language, and by which voice: what one paid voice is for."""
        text = TEXTS[language].replace("{{customer}}", self.customer)
        return text.replace("{{number}}", str(self.number)), (
            self.sample or OFFICIAL_VOICES[language]
        )

    def scripts(self) -> dict[str, str]:
        """Language by the name of each script that the row becomes."""
        return {f"{self.script_id}-{language}": language for language in TEXTS}


def sheet(rows: int, *, akool: str) -> list[Line]:
    """Thinks a manifest up.

    Args:
        rows: How many rows.
        akool: Root of the emulator, which serves the samples.

    Returns:
        The rows. Of ten, one repeats the row above it word for word, and one repeats what is spoken
        and shows another avatar.
    """
    avatars, lines = (*AVATARS, OFFICIAL_AVATAR), list[Line]()
    samples = [*(f"{akool}/media/voices/{name}.mp3" for name in SAMPLES), ""]
    for number in range(rows):
        line = Line(
            script_id=f"tour-{number:04d}",
            number=number,
            customer=f"Customer {number}",
            avatar=avatars[number % len(avatars)],
            sample=samples[number % len(samples)],
        )
        if number % 10 == 9:
            line = replace(lines[-1], script_id=line.script_id)
        elif number % 10 == 4:
            line = replace(lines[-1], script_id=line.script_id, avatar=line.avatar)
        lines.append(line)
    return lines


def edited(lines: Sequence[Line]) -> list[Line]:
    """Gives one row in a hundred, and at least one, another customer.

    Args:
        lines: The rows.

    Returns:
        All rows, some of them changed.
    """
    step = max(1, len(lines) // max(1, len(lines) // 100))
    return [
        replace(line, customer=f"{line.customer} and Sons") if number % step == step // 2 else line
        for number, line in enumerate(lines)
    ]


def contents(lines: Sequence[Line]) -> dict[str, set[Any]]:
    """The distinct contents of a manifest, by kind: each must be paid once.

    Args:
        lines: The rows.

    Returns:
        The contents.
    """
    scripts = [(line, language) for line in lines for language in line.scripts().values()]
    return {
        "avatar": {line.avatar for line in lines} & set(AVATARS),
        "clone": {line.sample for line in lines} - {""},
        "voice": {line.spoken(language) for line, language in scripts},
        "video": {(*line.spoken(language), line.avatar) for line, language in scripts},
    }


def write_sheet(data: Path, lines: Sequence[Line]) -> None:
    """Writes the manifest, its texts, the voices of the languages, and the avatars.

    Args:
        data: The data root.
        lines: The rows.
    """
    _write(
        data / "manifests" / f"{NAME}.texts.csv",
        ("script_id", "language", "script"),
        [(line.script_id, code, TEXTS[code]) for line in lines for code in TEXTS if code != "en"],
    )
    _write(
        data / "voices.csv",
        ("language", "voice_id"),
        [(code, voice) for code, voice in OFFICIAL_VOICES.items() if code != "en"],
    )
    _write(
        data / "avatars.csv",
        ("avatar_id", "name", "url"),
        [(name, name[:-2], f"https://media.example/{name}.mp4") for name in AVATARS],
    )
    columns = ("script_id", "script", "language", "languages", "voice_id", "voice_sample_url",
               "avatar_id", "customer", "number")  # fmt: skip
    cells = [
        (
            line.script_id, TEXTS["en"], "en", " ".join(TEXTS),
            "" if line.sample else OFFICIAL_VOICES["en"], line.sample, line.avatar, line.customer,
            line.number,
        )
        for line in lines
    ]  # fmt: skip
    # The manifest last: a sensor may look at any moment.
    _write(data / "manifests" / f"{NAME}.csv", columns, cells)


def _write(path: Path, columns: Sequence[str], cells: Sequence[Sequence[object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    with part.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([columns, *cells])
    part.replace(path)


# -- what was promised ----------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One promise, and what was found.

    Attributes:
        promise: In words.
        found: In words.
        is_kept: Whether it was kept.
        seconds: What the step took that it is about.
    """

    promise: str
    found: str
    is_kept: bool
    seconds: float = 0.0


@dataclass(kw_only=True)
class Findings:
    """All that was found, step by step."""

    all: list[Finding] = field(default_factory=list)
    _began: float = field(default_factory=time.monotonic)

    def expect(self, promise: str, *, found: object, expected: object) -> None:
        """Notes whether something is as promised.

        Args:
            promise: In words.
            found: What is.
            expected: What it must equal.
        """
        is_kept = found == expected
        text = _short(found) if is_kept else f"{_short(found)} instead of {_short(expected)}"
        now = time.monotonic()
        self.all.append(
            Finding(promise=promise, found=text, is_kept=is_kept, seconds=now - self._began)
        )
        self._began = now

    @property
    def broken(self) -> list[Finding]:
        """The promises that were not kept."""
        return [finding for finding in self.all if not finding.is_kept]

    def table(self) -> str:
        """The findings as a Markdown table."""
        lines = [
            f"| {each.promise} | {each.found} | {'yes' if each.is_kept else '**NO**'} "
            f"| {each.seconds:.0f} |"
            for each in self.all
        ]
        head = ["| promise | found | kept | seconds |", "| --- | --- | --- | --- |"]
        return "\n".join([*head, *lines])


def _short(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{count:,} {name}" for name, count in value.items())
    if isinstance(value, set | frozenset):
        names = sorted(map(str, value))
        return f"{len(names):,}: {', '.join(names[:6])}{' ...' if len(names) > 6 else ''}"
    if isinstance(value, bool):
        return "so it is" if value else "not so"
    if isinstance(value, list | tuple):
        return ", ".join(map(_short, value)) or "none"
    return f"{value:,}" if isinstance(value, int) else str(value)


class Way(Protocol):
    """How a person has the sheet made; each step leaves its findings."""

    def upload(self, findings: Findings) -> None:
        """Uploads the avatars."""
        ...

    def make(self, findings: Findings, lines: Sequence[Line], *, anew: int) -> None:
        """Has everything made that is missing, ``anew`` scripts, and the results written."""
        ...

    def make_again(self, findings: Findings, lines: Sequence[Line]) -> None:
        """Asks for all of it once more."""
        ...


def show(way: Way, *, akool: Akool, data: Path, rows: int) -> Findings:
    """Has a sheet made, asks for it again, edits some rows, and compares with what was promised.

    Args:
        way: How it is made.
        akool: The emulator.
        data: The data root, which the way works on.
        rows: Rows of the manifest.

    Returns:
        What was found.
    """
    findings, lines = Findings(), sheet(rows, akool=akool.url)
    write_sheet(data, lines)
    way.upload(findings)
    everything = [name for line in lines for name in line.scripts()]
    way.make(findings, lines, anew=len(everything))
    wanted = contents(lines)
    paid = {kind: len(wanted[kind]) for kind in KINDS}
    _expect_paid(findings, akool, "each distinct content is paid once", paid)
    first = _expect_files(findings, data, everything)

    way.make_again(findings, lines)
    _expect_paid(findings, akool, "asking for everything again sends nothing", paid)

    after = edited(lines)
    changed = {name for old, new in zip(lines, after, strict=True) if old != new
               for name in new.scripts()}  # fmt: skip
    write_sheet(data, after)
    way.make(findings, after, anew=len(changed))
    both = {kind: len(wanted[kind] | made) for kind, made in contents(after).items()}
    _expect_paid(
        findings, akool, "of an edited sheet the new contents are paid", {k: both[k] for k in KINDS}
    )
    second = _expect_files(findings, data, everything)
    findings.expect(
        "exactly the edited rows' scripts have new videos and new files",
        found={name for name in everything if first.get(name) != second.get(name)},
        expected=changed,
    )
    return findings


def _expect_paid(
    findings: Findings, akool: Akool, promise: str, expected: Mapping[str, int]
) -> None:
    stats = akool.stats()
    for word, counts in (("sent", stats["received"]), ("taken", stats["accepted"])):
        found = {kind: counts.get(kind, 0) for kind in KINDS}
        findings.expect(f"{promise} ({word})", found=found, expected=expected)


@dataclass(frozen=True, kw_only=True)
class _Made:
    """The video of a script, as the results and the folder have it."""

    video_id: str
    written_ns: int


def _expect_files(findings: Findings, data: Path, scripts: Sequence[str]) -> dict[str, _Made]:
    with (data / "results" / f"{NAME}.csv").open(encoding="utf-8-sig", newline="") as file:
        results = list(csv.DictReader(file))
    findings.expect(
        "the results have one line for each script, in order",
        found=[line["script_id"] for line in results] == list(scripts),
        expected=True,
    )
    good = {line["script_id"]: line for line in results if _is_good(data, line)}
    paths = {data / line["video_file"] for line in good.values()}
    findings.expect(
        "each script has a video of its own that plays and has the hash of its results line",
        found=len(paths),
        expected=len(scripts),
    )
    return {
        name: _Made(
            video_id=line["akool_video_id"],
            written_ns=(data / line["video_file"]).stat().st_mtime_ns,
        )
        for name, line in good.items()
    }


def _is_good(data: Path, line: Mapping[str, str]) -> bool:
    path = data / line["video_file"]
    if line["status"] != "saved" or not path.is_file():
        return False
    if hashlib.sha256(path.read_bytes()).hexdigest() != line["video_sha256"]:
        return False
    try:
        check_video(probe(path))
    except UnplayableMedia:
        return False
    return True


# -- at a terminal --------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Ended:
    """A command that is over: its exit code and what it printed."""

    code: int
    out: str
    err: str


Command = Callable[[Sequence[str], Mapping[str, str]], Ended]
"""Runs ``akool-dagster`` with some words and environment variables."""


def own_process(words: Sequence[str], settings: Mapping[str, str]) -> Ended:
    """Runs the command as a person's shell does.

    Args:
        words: What follows ``akool-dagster``.
        settings: Environment variables; those of AKOOL and Dagster are not inherited.

    Returns:
        How it ended.
    """
    ended = subprocess.run(
        [str(SCRIPTS / "akool-dagster"), *words],
        env={**clean_environment(), **settings},
        capture_output=True,
        text=True,
        check=False,
    )
    return Ended(code=ended.returncode, out=ended.stdout, err=ended.stderr)


class Terminal:
    """The commands, one after the other.

    Args:
        settings: Environment variables.
        data: The data root that they name.
        command: Runs one.
    """

    def __init__(self, settings: Mapping[str, str], data: Path, *, command: Command) -> None:
        self._settings, self._data, self._command = settings, data, command

    def upload(self, findings: Findings) -> None:
        """Sees in the plan that the avatars are missing, uploads them, and sees that they are not.

        Args:
            findings: Takes what was found.
        """
        before = self._said("plan", NAME, "--refresh", "--json", exits=1)
        lines = [line for line in _lines_of(self._data) if line["avatar_id"] in AVATARS]
        findings.expect(
            "the plan says which avatars to upload first, for each script that needs one",
            found=sum("avatars --upload" in each["fix"] for each in before["catalog_problems"]),
            expected=len(lines) * len(TEXTS),
        )
        uploaded = self._said("avatars", "--upload", "--json", exits=0)
        findings.expect(
            "`avatars --upload` uploads all", found=uploaded["tried"], expected=list(AVATARS)
        )

    def make(self, findings: Findings, lines: Sequence[Line], *, anew: int) -> None:
        """Plans, runs, and looks at the status.

        Args:
            findings: Takes what was found.
            lines: The rows.
            anew: How many scripts are to be made.
        """
        plan = self._said("plan", NAME, "--json", exits=0)
        scripts = len(lines) * len(TEXTS)
        findings.expect(
            "the plan foresees what is made",
            found=(plan["rows"], plan["to_request"], len(plan["catalog_problems"])),
            expected=(scripts, anew, 0),
        )
        self._run(findings, scripts)
        status = self._said("status", NAME, "--json", exits=0)
        findings.expect(
            "`status` says that all is saved",
            found=status["manifests"][NAME]["counts"],
            expected={"saved": scripts},
        )

    def make_again(self, findings: Findings, lines: Sequence[Line]) -> None:
        """Runs it, and uploads the avatars, once more.

        Args:
            findings: Takes what was found.
            lines: The rows.
        """
        self._run(findings, len(lines) * len(TEXTS))
        again = self._said("avatars", "--upload", "--json", exits=0)
        findings.expect("a second upload finds nothing to do", found=again["tried"], expected=[])

    def _run(self, findings: Findings, scripts: int) -> None:
        run = self._said("run", NAME, "--json", exits=0)
        findings.expect("`run` makes all", found=run["counts"], expected={"saved": scripts})

    def _said(self, *words: str, exits: int) -> dict[str, Any]:
        """What a command prints as JSON.

        Raises:
            RuntimeError: It ended with another exit code.
        """
        ended = self._command(words, self._settings)
        if ended.code != exits:
            told = f"{ended.out[-3000:]}\n{ended.err[-3000:]}"
            raise RuntimeError(f"{words} ended with {ended.code}, not {exits}:\n{told}")
        return json.loads(ended.out)


def _lines_of(data: Path) -> list[dict[str, str]]:
    path = data / "manifests" / f"{NAME}.csv"
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _settings(akool: Akool, folder: Path) -> dict[str, str]:
    return {
        "AKOOL_BASE_URL": akool.url,
        "AKOOL_API_KEY": akool.key,
        "AKOOL_DATA": str(folder / "data"),
        "AKOOL_MAX_IN_FLIGHT": "100000",
        "AKOOL_POLL_SECONDS": "0.05",
    }


# -- in the UI ------------------------------------------------------------------------------


class Ui:
    """Backfills of a running ``dagster dev``; what the sensors do by themselves is waited for.

    Args:
        dagster: The deployment.
        data: Its data root.
    """

    def __init__(self, dagster: Dagster, data: Path) -> None:
        self._dagster, self._data = dagster, data

    def upload(self, findings: Findings) -> None:
        """Waits until the avatars are partitions, and backfills them.

        Args:
            findings: Takes what was found.
        """
        self._until(lambda: self._dagster.partitions("custom_avatars") == list(AVATARS))
        self._dagster.wait_for(self._dagster.backfill(["custom_avatars"], partitions=AVATARS))
        findings.expect("the backfill of the avatars ends well", found=True, expected=True)

    def make(self, findings: Findings, lines: Sequence[Line], *, anew: int) -> None:
        """Waits until the sheet as it is now is validated, backfills it, and waits for the results.

        Args:
            findings: Takes what was found.
            lines: The rows.
            anew: How many scripts are to be made.
        """
        keys = _keys(lines)
        manifest = self._data / "manifests" / f"{NAME}.csv"
        validated = self._data / "scripts" / f"{NAME}.parquet"
        self._until(
            lambda: (
                validated.exists()
                and validated.stat().st_mtime > manifest.stat().st_mtime
                and set(self._dagster.partitions("voice_files")) >= set(keys)
            )
        )
        findings.expect("the sensor has the sheet validated", found=True, expected=True)
        began = time.time()
        self._dagster.wait_for(self._dagster.backfill(ROW_ASSETS, partitions=keys))
        findings.expect(f"the backfill that makes {anew} ends well", found=True, expected=True)
        results = self._data / "results" / f"{NAME}.csv"
        self._until(lambda: results.exists() and results.stat().st_mtime > began)
        findings.expect("the sensor has the results written", found=True, expected=True)

    def make_again(self, findings: Findings, lines: Sequence[Line]) -> None:
        """Backfills everything once more.

        Args:
            findings: Takes what was found.
            lines: The rows.
        """
        self._dagster.wait_for(self._dagster.backfill(["custom_avatars"], partitions=AVATARS))
        self._dagster.wait_for(self._dagster.backfill(ROW_ASSETS, partitions=_keys(lines)))
        findings.expect("a second backfill of both ends well", found=True, expected=True)

    def _until(self, reached: Callable[[], bool]) -> None:
        """Waits for what a sensor does."""
        log = self._dagster.log
        wait_until(reached, seconds=_PATIENCE_SECONDS, tell=lambda: log.read_text()[-3000:])


def _keys(lines: Sequence[Line]) -> list[str]:
    return [f"{NAME}.{name}" for line in lines for name in line.scripts()]


# -- both -----------------------------------------------------------------------------------


def from_terminal(folder: Path, *, rows: int, command: Command = own_process) -> Findings:
    """Shows it at a terminal.

    Args:
        folder: An empty folder.
        rows: Rows of the manifest.
        command: Runs a command.

    Returns:
        What was found.
    """
    with emulator(folder, *_AT_ONCE) as akool:
        data = folder / "data"
        way = Terminal(_settings(akool, folder), data, command=command)
        return show(way, akool=akool, data=data, rows=rows)


def from_ui(folder: Path, *, rows: int) -> Findings:
    """Shows it in the UI.

    Args:
        folder: An empty folder.
        rows: Rows of the manifest.

    Returns:
        What was found.
    """
    with _deployment(folder) as (akool, dagster):
        way = Ui(dagster, folder / "data")
        return show(way, akool=akool, data=folder / "data", rows=rows)


@contextmanager
def _deployment(folder: Path) -> Iterator[tuple[Akool, Dagster]]:
    with (
        emulator(folder, *_AT_ONCE) as akool,
        dagster_dev(
            folder, module="akool_dagster.definitions", env=_settings(akool, folder)
        ) as dagster,
    ):
        yield akool, dagster


def main() -> None:
    """Shows it, prints a Markdown table, and ends with 1 when a promise was broken."""
    end_on_sigterm()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=200, help="each becomes three scripts")
    parser.add_argument("--from", dest="way", choices=["terminal", "ui"], default="terminal")
    chosen = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="akool-showcase-") as folder:
        way = from_ui if chosen.way == "ui" else from_terminal
        findings = way(Path(folder), rows=chosen.rows)
    print(f"{machine()}; {chosen.rows:,} rows, {chosen.rows * len(TEXTS):,} scripts\n")
    print(findings.table())
    print(f"\n{len(findings.broken)} promises broken; {time.monotonic() - began:.0f} seconds.")
    sys.exit(1 if findings.broken else 0)


if __name__ == "__main__":
    main()
