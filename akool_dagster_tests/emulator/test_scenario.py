import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from akool_dagster.emulator import (
    EmulatorConfig,
    Fault,
    RenderTimes,
    Shapes,
    WebhookHabits,
    load_scenario,
    serve,
)
from akool_dagster_tests.emulator.api import OPEN, WAIT, Api, talking

EXAMPLES = Path(__file__).parents[2] / "docs" / "scenarios"


@pytest.fixture
def load(tmp_path: Path) -> Callable[[str], EmulatorConfig]:
    def write_and_load(text: str) -> EmulatorConfig:
        path = tmp_path / "night.toml"
        path.write_text(text, encoding="utf-8")
        return load_scenario(path)

    return write_and_load


def test_an_empty_scenario_is_an_ordinary_day(load) -> None:
    assert load("") == EmulatorConfig()


def test_a_scenario_says_everything(load) -> None:
    text = """
        seed = 3
        speed = 60          # a whole number is a number, too
        start = 1.7e9
        slots = 2
        credits = 50
        media = "tiny"
        clock_skew = -90.5
        [times]
        video = 5
        [shapes]
        lists = "array"
        [webhooks]
        late = 30
        copies = 2
        [[faults]]
        kind = "drip"
        on = "GET /media/*"
        seconds = 2
        probability = 0.5
        [[faults]]
        kind = "drop"
        when = "before"
        next = 1
    """
    assert load(text) == EmulatorConfig(
        seed=3,
        speed=60,
        start=1.7e9,
        slots=2,
        credits=50,
        media="tiny",
        clock_skew=-90.5,
        times=RenderTimes(video=5),
        shapes=Shapes(lists="array"),
        webhooks=WebhookHabits(late=30, copies=2),
        faults=(
            Fault(kind="drip", on="GET /media/*", seconds=2, probability=0.5),
            Fault(kind="drop", when="before", next=1),
        ),
    )


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("sped = 3", ["'sped'", "value 3", "did you mean 'speed'", "'seed'"]),
        ("speed = 'x'", ["speed is 'x'", "number"]),
        ("slots = true", ["slots is True", "integer"]),
        ("slots = 0", ["slots is 0", "1 or more"]),
        ("seed = 1.5", ["seed is 1.5", "integer"]),
        ("speed = inf", ["speed is inf"]),
        ("credits = nan", ["credits is nan"]),
        ("start = 1979-05-27", ["start is '1979-05-27'", "number"]),
        ("media = 'huge'", ["media is 'huge'", "'full' or 'tiny'"]),
        ("failing_renders = 2.0", ["failing_renders is 2.0", "0 to 1"]),
        ("clock_skew = 1e12", ["clock_skew is 1000000000000.0"]),
        ("api_keys = ['x']", ["no key 'api_keys'"]),
        ("state_dir = 'x'", ["no key 'state_dir'"]),
        ("webhooks = 3", ["webhooks is 3"]),
        ("[webhooks]\nlat = 3", ["'webhooks.lat'", "did you mean 'late'"]),
        ("[webhooks]\nlost = 3.0", ["webhooks", "lost is 3.0", "0 to 1"]),
        ("[shapes]\nlists = 'tree'", ["shapes.lists is 'tree'", "'array' or 'result'"]),
        ("[times]\nvideo = -1.0", ["times", "video is -1.0", "0 or more"]),
        ("faults = 'drop'", ["faults is 'drop'"]),
        ("faults = ['drop']", ["faults[0] is 'drop'"]),
        ("[[faults]]\non = '*'", ["faults[0].kind is missing", "short-length"]),
        ("[[faults]]\nkind = 'x'", ["faults[0].kind is 'x'", "'long-length'"]),
        ("[[faults]]\nkind = 'cut'\nwen = 1", ["'faults[0].wen'", "did you mean 'when'"]),
        ("[[faults]]\nkind = 'cut'\nnext = 0", ["faults[0]", "next is 0", "1 or more"]),
        ("seed = = 1", ["not a TOML file", "line 1"]),
    ],
)
def test_a_mistake_is_told_with_file_key_value_and_what_is_allowed(
    load, text: str, told: list[str]
) -> None:
    with pytest.raises(ValueError) as error:
        load(text)
    for words in ["night.toml", *told]:
        assert words in str(error.value)


def test_all_mistakes_of_a_file_are_told_at_once(load) -> None:
    with pytest.raises(ValueError) as error:
        load("seed = 'x'\nslots = 'y'")
    assert len(str(error.value).splitlines()) == 2


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="night"):
        load_scenario(tmp_path / "night.toml")


def test_a_file_in_another_encoding_is_told(tmp_path: Path) -> None:
    path = tmp_path / "night.toml"
    path.write_bytes("# für".encode("latin-1"))
    with pytest.raises(ValueError, match="not a TOML file"):
        load_scenario(path)


_VALUES = st.recursive(
    st.one_of(st.booleans(), st.integers(-10, 10), st.floats(), st.sampled_from(["cut", "full"])),
    lambda inner: st.one_of(
        st.lists(inner, max_size=2),
        st.dictionaries(st.sampled_from(["kind", "late", "lists", "x"]), inner, max_size=2),
    ),
    max_leaves=4,
)


def _toml(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name} = {_toml(item)}" for name, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    return str(value).lower() if not isinstance(value, str) else f'"{value}"'


@given(name=st.sampled_from(["seed", "speed", "faults", "webhooks", "shapes", "x"]), value=_VALUES)
def test_any_value_is_taken_or_explained(tmp_path_factory, name: str, value: object) -> None:
    path = tmp_path_factory.getbasetemp() / "any.toml"
    path.write_text(f"{name} = {_toml(value)}")
    try:
        assert isinstance(load_scenario(path), EmulatorConfig)
    except ValueError as error:
        assert str(error).startswith(f"Scenario {path}")


# ----- the examples -----


def example(name: str, **changes) -> EmulatorConfig:
    config = load_scenario(EXAMPLES / name)
    return replace(config, media="tiny", **changes)


def outcome(api: Api, text: str, **fields) -> str:
    """How one create ends for a client: a status, a code, or the name of what went wrong."""
    path = f"{OPEN}/v3/talkingavatar/create"
    try:
        answer = api.raw("POST", path, json=talking(text=text, **fields))
        return str(answer.json()["code"]) if answer.status_code == 200 else str(answer.status_code)
    except requests.RequestException as error:
        return type(error).__name__


def test_the_documented_examples_are_all_there() -> None:
    names = {path.name for path in EXAMPLES.glob("*.toml")}
    assert names == {"bad-network.toml", "bad-night.toml", "webhooks-gone-wrong.toml"}
    readme = (EXAMPLES / "README.md").read_text()
    assert all(f"({name})" in readme for name in names)


def test_a_bad_network() -> None:
    with serve(example("bad-network.toml")) as akool:
        api = Api(akool)
        ends = [outcome(api, f"Number {n}.") for n in range(60)]
        stats = akool.emulator.stats()
    hits = {(fault["kind"], fault["when"]): fault["hits"] for fault in stats.faults[:3]}
    assert all(hits.values()), hits
    assert ends.count("ConnectionError") == hits["drop", "before"] + hits["reset", "after"]
    assert ends.count("504") == hits["gateway", "after"]
    # Only what was dropped before its effect is not there.
    assert stats.accepted["video"] == 60 - hits["drop", "before"]


def test_a_bad_night() -> None:
    # The frequency limit goes by the real clock and would make this test a matter of luck.
    with serve(example("bad-night.toml", requests_per_second=None)) as akool:
        api = Api(akool)
        ends = [outcome(api, f"Number {n}.") for n in range(30)]
        akool.emulator.clock.advance(10_000)
        stats = akool.emulator.stats()
        jobs = akool.emulator.jobs("video")
        assert stats.rendering == stats.waiting == 0
    assert set(ends) == {"1000", "1006", "429"}
    assert ends.count("429") == stats.faults[0]["hits"]
    assert ends.count("1000") == 6
    assert stats.statuses["video"]["failed"] == sum(job.fails for job in jobs) > 0
    assert stats.credits["available"] == 60 - stats.statuses["video"]["completed"]


def test_webhooks_gone_wrong(site) -> None:
    with serve(example("webhooks-gone-wrong.toml")) as akool:
        api = Api(akool)
        ends = [outcome(api, f"Number {n}.", webhookUrl=site.url) for n in range(20)]
        began = time.monotonic()
        while akool.emulator.stats().webhooks.get("delivered", 0) < 20:
            assert time.monotonic() - began < 10
            akool.emulator.clock.advance(1_000)
            time.sleep(0.02)
        stats = akool.emulator.stats()
        date = requests.get(f"{akool.url}/media/none", timeout=WAIT).headers["date"]
    assert "ConnectionError" in ends
    assert stats.accepted["video"] == 20
    assert stats.webhooks["lost"] > 5
    assert stats.webhooks["forged"] > 5
    assert date
