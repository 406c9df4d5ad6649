"""``akool-dagster emulator``: runs the emulator until Ctrl-C."""

import contextlib
import logging
import signal
import threading
from collections.abc import Iterator

import click

from akool_dagster.emulator.config import (
    EmulatorConfig,
    RenderTimes,
    Shapes,
    WebhookHabits,
)
from akool_dagster.emulator.faults import Fault, parse_fault
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
  drop      the connection is closed without an answer
  reset     the connection is reset
  cut       half of the answer, then the connection is closed
  truncate  HTTP 200 with a JSON body that stops in the middle
  delay     the answer comes S seconds late
  status    an HTTP status (500) with a JSON body
  gateway   an HTTP status (502) with a gateway's HTML page
  busy      HTTP 429 with Retry-After: S
PATTERN is matched with "METHOD /path", e.g. "POST */talkingavatar/create".
"when" tells whether it hits before or after the job was made.

\b
SHAPES are the documented and the observed answer forms: avatar/list as a bare
array or inside "result"; avatar/detail and avatar/create as an array or an
object; a failed video's reason in error_reason, faceswap_fail_reason or nowhere.
"""


@click.command(help=_HELP)
@click.option("--host", default="127.0.0.1", show_default=True, help="A loopback address.")
@click.option("--port", default=8790, show_default=True, help="0 takes any free port.")
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
@click.option("--accept-unknown-ids", is_flag=True, help="Take any avatar and voice id.")
@click.option("--any-size", is_flag=True, help="talkingavatar/create takes other sizes too.")
@click.option(
    "--fetch-any-host", is_flag=True, help="Fetch audio and pictures from other machines too."
)
@click.option("--tiny-media", is_flag=True, help="One short file for all jobs, for load tests.")
@click.option("--state-dir", type=click.Path(file_okay=False), help="Survive restarts here.")
def emulator(
    host: str,
    port: int,
    speed: float,
    seed: int,
    slots: int,
    refuse_beyond_slots: bool,
    credits_: float,
    requests_per_second: float | None,
    text_limit: int,
    render_seconds: float | None,
    faults: tuple[str, ...],
    lists: str,
    details: str,
    failure_field: str,
    webhook_status_2: bool,
    webhook_copies: int,
    accept_unknown_ids: bool,
    any_size: bool,
    fetch_any_host: bool,
    tiny_media: bool,
    state_dir: str | None,
) -> None:
    """Runs the emulator until Ctrl-C; its help is `_HELP`."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    try:
        config = EmulatorConfig(
            seed=seed,
            speed=speed,
            slots=slots,
            refuse_beyond_slots=refuse_beyond_slots,
            credits=credits_,
            requests_per_second=requests_per_second,
            text_limit=text_limit,
            times=RenderTimes() if render_seconds is None else RenderTimes(video=render_seconds),
            faults=_parsed(faults),
            shapes=Shapes(lists=lists, details=details, failure=failure_field),  # type: ignore[arg-type]
            webhooks=WebhookHabits(status_2=webhook_status_2, copies=webhook_copies),
            accept_unknown_ids=accept_unknown_ids,
            strict_sizes=not any_size,
            fetch_any_host=fetch_any_host,
            media="tiny" if tiny_media else "full",
            state_dir=state_dir,
        )
        with _stopping() as stop, serve(config, host=host, port=port) as running:
            _introduce(running)
            stop.wait()
    except (ValueError, OSError) as error:
        raise click.ClickException(str(error)) from error
    click.echo("Stopped.")


def _parsed(lines: tuple[str, ...]) -> tuple[Fault, ...]:
    return tuple(parse_fault(line) for line in lines)


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
