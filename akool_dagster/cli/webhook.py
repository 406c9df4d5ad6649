"""``akool-dagster webhook``: takes AKOOL's callbacks until Ctrl-C."""

import contextlib
import logging
import signal
import socket
from collections.abc import Iterator

import click
import uvicorn
from starlette.applications import Starlette

from akool_dagster.akool import ClientLogin
from akool_dagster.cli.exits import stop
from akool_dagster.ledger import Ledger
from akool_dagster.settings import Settings, load_settings
from akool_dagster.webhook_server import build_app, build_server

_BACKLOG = 1024


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8791, show_default=True, help="0 takes any free port.")
def webhook(host: str, port: int) -> None:
    """Take AKOOL's callbacks and write them into the ledger, until Ctrl-C.

    A callback settles a request in doubt by itself and lets finished videos be seen sooner. It is
    optional: without it AKOOL is asked instead. Needs AKOOL_CLIENT_ID and AKOOL_CLIENT_SECRET.
    """
    settings = load_settings()
    login = _login_or_stop(settings)
    with (
        Ledger.open(settings.ledger_url, service=settings.service) as ledger,
        _listening(host, port) as listener,
    ):
        server = build_server(_app_or_stop(ledger, login))
        logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
        with _stopping(server):
            _introduce(settings, listener)
            server.run(sockets=[listener])
    click.echo("Stopped.")


def _login_or_stop(settings: Settings) -> ClientLogin:
    secret = settings.client_secret.get_secret_value() if settings.client_secret else ""
    values = {"AKOOL_CLIENT_ID": settings.client_id, "AKOOL_CLIENT_SECRET": secret}
    missing = [name for name, value in values.items() if not value]
    if missing:
        stop(
            f"{' and '.join(missing)} must be set: AKOOL signs callbacks with the client id and "
            "encrypts them with the client secret (the same value as the API key). Both are on "
            "AKOOL's page of API credentials."
        )
    try:
        return ClientLogin(settings.client_id or "", secret)
    except ValueError as error:
        stop(f"AKOOL_CLIENT_ID or AKOOL_CLIENT_SECRET: {error}")


def _app_or_stop(ledger: Ledger, login: ClientLogin) -> Starlette:
    try:
        return build_app(ledger, login)
    except ValueError as error:
        stop(f"AKOOL_CLIENT_SECRET: {error}")


@contextlib.contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with contextlib.closing(socket.socket(family, socket.SOCK_STREAM)) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError as error:
            stop(f"Cannot listen on {host} port {port}: {error}. Choose another --port or --host.")
        listener.listen(_BACKLOG)
        yield listener


@contextlib.contextmanager
def _stopping(server: uvicorn.Server) -> Iterator[None]:
    """Lets Ctrl-C and a termination end the server, before it handles them itself and after."""

    def end(_number: int, _frame: object) -> None:
        server.should_exit = True

    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, end) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _introduce(settings: Settings, listener: socket.socket) -> None:
    host, port = listener.getsockname()[:2]
    address = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    click.echo(f"Taking AKOOL's callbacks at {address}, for the ledger of {settings.service}.")
    click.echo(f"  AKOOL_WEBHOOK_URL={settings.webhook_url or address}")
    if settings.webhook_url:
        click.echo("is what new requests name already; it must lead here from the internet.")
    elif settings.service == "emulator":
        click.echo("Set this where Dagster runs; the emulator reaches it there.")
    else:
        click.echo(
            "is for this machine only. AKOOL needs a public https address that leads here (a "
            "reverse proxy or a tunnel): set AKOOL_WEBHOOK_URL to that where Dagster runs."
        )
    click.echo("Stop with Ctrl-C.")
