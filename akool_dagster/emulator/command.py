"""``akool-dagster emulator``: runs the emulator until Ctrl-C."""

import contextlib
import errno
import logging
import signal
import threading
from collections.abc import Iterator, Mapping
from typing import Any

import click
from click.core import ParameterSource

from akool_dagster.emulator.config import EmulatorConfig, changed
from akool_dagster.emulator.faults import parse_fault
from akool_dagster.emulator.scenario import load_scenario
from akool_dagster.emulator.server import RunningEmulator, serve

_HELP = """Run a local AKOOL: it answers like the real API, speaks, renders, and charges nothing.

Point AKOOL_BASE_URL and AKOOL_API_KEY at what it prints. GET / shows its jobs to a person; all
that is not AKOOL's is under /emulator/ (stats, jobs, webhooks, faults, clock, credits, config).

\b
REHEARSAL MARKERS make a job go wrong. Write them into a script, a link or an
avatar's link; they are neither spoken nor shown. A marker for the video in a
text-to-speech script travels with the audio link.
  [[video:1003]]            the create is refused with this code
  [[video:failed]]          accepted, ends in status 4, no reason given
  [[video:failed 1205 why]] the same with code and reason
  [[video:stuck]]           accepted, never ends
  [[video:slow 600]]        takes 600 virtual seconds longer
  [[video:lost]]            accepted, but the answer is lost
  [[video:1015 x2]]         only for the first two such creates
Besides video there are voice, clone (voice clone) and avatar (upload). The
avatars named Rehearsal_... in the avatar list always behave as they are named.

\b
FAULTS are the network's: --fault KIND[,on=PATTERN][,when=before|after]
[,probability=P][,next=N][,seconds=S][,status=N], may be repeated. Kinds:
  drop          the connection is closed without an answer
  reset         the connection is reset
  cut           half of the answer, then the connection is closed
  truncate      HTTP 200 with a JSON body that stops in the middle
  long-length   Content-Length promises more than the body, closed after S
  short-length  Content-Length promises half of the body
  drip          the body comes byte by byte over S seconds
  delay         the answer comes S seconds late: a time-out, if S is long
  status        an HTTP status (500) with a JSON body
  gateway       an HTTP status (502) with a gateway's HTML page
  busy          HTTP 429 with Retry-After: S
PATTERN is matched with "METHOD /path", e.g. "POST */talkingavatar/create", or
"GET /media/*" for downloads. "when" tells whether it hits before or after the
job was made. /emulator/stats tells how often each fault hit.

\b
SCENARIOS are TOML files with the settings of EmulatorConfig: seed, speed,
slots, credits, failing_renders, clock_skew and more, tables [times], [prices],
[shapes], [webhooks] and one [[faults]] for each fault, with the names above.
Flags override the file; a --fault comes before the file's faults. The settings
without a flag are described in GET /emulator/config and docs/scenarios/.

\b
THE SEED decides every drawn number by the content of a request and not by its
time: the same seed and requests give the same faults, failures, render times
and ids. (The first 8 digits of an id tell when the emulator began; "start" in
a scenario fixes them.) What depends on the order in which requests arrive is
next=N, who gets the last credits or a free slot, and xN in markers.

\b
SHAPES are the documented and the observed answer forms: avatar/list as a bare
array or inside "result"; avatar/detail and avatar/create as an array or an
object; a failed video's reason in error_reason, faceswap_fail_reason or nowhere.
"""

# Where each flag belongs; a dot leads into a table.
_SETTINGS = {
    "speed": "speed",
    "seed": "seed",
    "slots": "slots",
    "refuse_beyond_slots": "refuse_beyond_slots",
    "credits_": "credits",
    "requests_per_second": "requests_per_second",
    "text_limit": "text_limit",
    "render_seconds": "times.video",
    "failing_renders": "failing_renders",
    "clock_skew": "clock_skew",
    "lists": "shapes.lists",
    "details": "shapes.details",
    "failure_field": "shapes.failure",
    "webhook_status_2": "webhooks.status_2",
    "webhook_copies": "webhooks.copies",
    "webhook_late": "webhooks.late",
    "webhook_lost": "webhooks.lost",
    "webhook_forged": "webhooks.forged",
    "webhook_reorder": "webhooks.reorder",
    "webhook_wrong_key": "webhooks.wrong_key",
    "webhook_wrong_signature": "webhooks.wrong_signature",
    "accept_unknown_ids": "accept_unknown_ids",
    "any_size": "strict_sizes",
    "fetch_any_host": "fetch_any_host",
    "tiny_media": "media",
    "state_dir": "state_dir",
    "faults": "faults",
}


scenario_option = click.option(
    "--scenario",
    type=click.Path(exists=True, dir_okay=False),
    help="A TOML file of the emulator's habits: see SCENARIOS in akool-dagster emulator --help.",
)
"""Of every command that starts an emulator."""


@click.command(help=_HELP)
@click.option("--host", default="127.0.0.1", show_default=True, help="A loopback address.")
@click.option("--port", default=8790, show_default=True, help="0 takes any free port.")
@scenario_option
@click.option("--speed", default=1.0, show_default=True, help="Virtual seconds per real second.")
@click.option("--seed", default=0, show_default=True, help="Decides every drawn number.")
@click.option("--slots", default=4, show_default=True, help="Videos rendered at once.")
@click.option("--refuse-beyond-slots", is_flag=True, help="Refuse the excess with code 1005.")
@click.option("--credits", "credits_", default=100_000.0, show_default=True, help="Balance.")
@click.option(
    "--requests-per-second", type=float, help="Beyond it (in virtual seconds) comes code 1005."
)
@click.option("--text-limit", default=10_000, show_default=True, help="Characters per text.")
@click.option("--render-seconds", type=float, help="Mean basic render time, virtual seconds.")
@click.option("--failing-renders", type=float, help="Share of the videos that fail, 0 to 1.")
@click.option(
    "--clock-skew", type=float, help="Seconds by which the times that AKOOL tells are wrong."
)
@click.option("--fault", "faults", multiple=True, help="See above.")
@click.option(
    "--lists", type=click.Choice(["array", "result"]), default="result", show_default=True
)
@click.option(
    "--details", type=click.Choice(["array", "object"]), default="object", show_default=True
)
@click.option(
    "--failure-field",
    type=click.Choice(["error_reason", "faceswap_fail_reason", "none"]),
    default="error_reason",
    show_default=True,
)
@click.option("--webhook-status-2", is_flag=True, help="Also call back when the work begins.")
@click.option("--webhook-copies", default=1, show_default=True, help="How often each is sent.")
@click.option("--webhook-late", type=float, help="Virtual seconds that callbacks come late.")
@click.option("--webhook-lost", type=float, help="Share of the callbacks never sent, 0 to 1.")
@click.option("--webhook-reorder", is_flag=True, help="Callbacks come in a shuffled order.")
@click.option("--webhook-forged", is_flag=True, help="With each comes a forgery.")
@click.option("--webhook-wrong-key", is_flag=True, help="All are encrypted with a wrong secret.")
@click.option("--webhook-wrong-signature", is_flag=True, help="All are wrongly signed.")
@click.option("--accept-unknown-ids", is_flag=True, help="Take any avatar and voice id.")
@click.option("--any-size", is_flag=True, help="talkingavatar/create takes other sizes too.")
@click.option(
    "--fetch-any-host", is_flag=True, help="Fetch audio and pictures from other machines too."
)
@click.option("--tiny-media", is_flag=True, help="One short file for all jobs, for load tests.")
@click.option("--state-dir", type=click.Path(file_okay=False), help="Survive restarts here.")
@click.pass_context
def emulator(
    context: click.Context, host: str, port: int, scenario: str | None, **flags: Any
) -> None:
    """Runs the emulator until Ctrl-C; its help is `_HELP`."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    default = ParameterSource.DEFAULT
    given = {
        name: value
        for name, value in flags.items()
        if context.get_parameter_source(name) is not default
    }
    try:
        config = _config(scenario, given)
        with _stopping() as stop, serve(config, host=host, port=port) as running:
            _introduce(running)
            stop.wait()
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise click.ClickException(str(error)) from error
        raise click.UsageError(
            f"Port {port} of this machine is taken: stop what listens there, or choose another "
            "with --port."
        ) from error
    except ValueError as error:
        raise click.ClickException(str(error)) from error
    click.echo("Stopped.")


def _config(scenario: str | None, given: Mapping[str, Any]) -> EmulatorConfig:
    config = EmulatorConfig() if scenario is None else load_scenario(scenario)
    changes: dict[str, Any] = {}
    for name, value in given.items():
        setting, _, within = _SETTINGS[name].partition(".")
        if within:
            changes.setdefault(setting, {})[within] = value
        else:
            changes[setting] = value
    if "strict_sizes" in changes:
        changes["strict_sizes"] = False
    if "media" in changes:
        changes["media"] = "tiny"
    if "faults" in changes:
        # In front, because the first fault that hits decides.
        changes["faults"] = (*map(parse_fault, changes["faults"]), *config.faults)
    return changed(config, changes)


@contextlib.contextmanager
def _stopping() -> Iterator[threading.Event]:
    """An event that Ctrl-C or a termination sets, for as long as the block lasts."""
    stop = threading.Event()
    before = {
        number: signal.signal(number, lambda *_: stop.set())
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _introduce(running: RunningEmulator) -> None:
    lines = [
        f"AKOOL emulator at {running.url} (a page for people is there, too)",
        f"  AKOOL_BASE_URL={running.url}",
        f"  AKOOL_API_KEY={running.api_key}",
        f"  AKOOL_CLIENT_ID={running.client_id}",
        f"  AKOOL_CLIENT_SECRET={running.client_secret}",
        "None of these is a real credential. Stop with Ctrl-C.",
    ]
    click.echo("\n".join(lines))
