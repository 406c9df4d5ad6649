"""A small page for people: what this is, the balance, the latest jobs."""

from html import escape
from string import Template
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Route

from akool_dagster.emulator.emulator import Emulator
from akool_dagster.emulator.jobs import Job
from akool_dagster.emulator.links import result_path

_LATEST = 30
_STATUS = {1: "queued", 2: "working", 3: "completed", 4: "failed"}
_PAGE = Template("""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>AKOOL emulator</title>
<meta http-equiv="refresh" content="3">
<style>
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem }
table { border-collapse: collapse; width: 100% }
td, th { text-align: left; padding: .25rem .6rem; border-bottom: 1px solid #ddd }
.failed { color: #b5483f } .completed { color: #2f7d52 } code { background: #f2f2f2 }
</style></head><body>
<h1>AKOOL emulator</h1>
<p>A local stand-in for the AKOOL API. Nothing here is real: no video is charged and nothing
leaves this machine. Address <code>$url</code>, key <code>$key</code>.</p>
<p><b>$available</b> credits, $held held, $spent spent. $rendering rendering, $waiting waiting.
Virtual time runs at speed $speed. More in <a href="/emulator/stats">stats</a>,
<a href="/emulator/jobs">jobs</a>, <a href="/emulator/webhooks">webhooks</a>.</p>
<table><tr><th>job</th><th>kind</th><th>status</th><th>seconds</th><th>text</th></tr>$rows</table>
</body></html>""")


def routes() -> list[Route]:
    """The page."""
    return [Route("/", _home)]


async def _home(request: Request) -> HTMLResponse:
    emulator: Emulator = request.app.state.emulator
    stats, jobs = emulator.stats(), emulator.jobs()
    shown: dict[str, Any] = {
        "url": escape(str(request.base_url)),
        "key": escape(emulator.config.api_keys[0] if emulator.config.api_keys else "none"),
        "speed": f"{emulator.clock.speed:g}",
        "rendering": stats.rendering,
        "waiting": stats.waiting,
        "rows": "".join(_row(emulator, job) for job in reversed(jobs[-_LATEST:])),
        **{name: f"{value:g}" for name, value in stats.credits.items()},
    }
    return HTMLResponse(_PAGE.substitute(shown))


def _row(emulator: Emulator, job: Job) -> str:
    status = _STATUS[job.status(emulator.clock.now())]
    name = job.id
    if emulator.link_is_alive(job):
        name = f'<a href="{escape(result_path(job))}">{job.id}</a>'
    sound = job.details.get("sound") or {}
    text = sound.get("text") or job.details.get("text") or job.details.get("name") or ""
    return (
        f'<tr><td>{name}</td><td>{job.kind}</td><td class="{status}">{status}</td>'
        f"<td>{job.seconds:.1f}</td><td>{escape(text[:80])}</td></tr>"
    )
