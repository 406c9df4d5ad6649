"""The connection to the ledger's database and its two kinds of transaction."""

import contextlib
import os
import socket
import sqlite3
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import SQLAlchemyError

from akool_dagster.ledger import tables

_SQLITE_WAIT_MS = 60_000
_POSTGRES_LOCK = 0x616B6F6F  # one lock for all writers: sums over rows must not change while read


class LedgerError(Exception):
    """The ledger cannot be used; nothing may be sent without it."""


def process_name() -> str:
    """Names this process so that another one can tell whether it still lives.

    Returns:
        ``<host>:<process id>:<random token>``.
    """
    return f"{socket.gethostname()}:{os.getpid()}:{_TOKEN.get()}"


class _ProcessToken:
    """A random word for each process; a process that takes over an old id has another one."""

    def __init__(self) -> None:
        self._pid: int | None = None
        self._token = ""

    def get(self) -> str:
        if self._pid != os.getpid():
            self._pid, self._token = os.getpid(), uuid.uuid4().hex[:8]
        return self._token


_TOKEN = _ProcessToken()


@dataclass(frozen=True, kw_only=True)
class Database:
    """A ledger database, seen by one service.

    Attributes:
        engine: SQLAlchemy engine.
        service: Whose entries are seen, see ``Settings.service``.
        clock: Gives the time in seconds since 1970 UTC.
        actor: Who writes; the name of this process unless a person acts.
    """

    engine: sa.Engine
    service: str
    clock: Callable[[], float] = time.time
    actor: str = field(default_factory=process_name)

    @contextlib.contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """Opens a transaction that only reads.

        Yields:
            The connection.
        """
        with self.engine.connect().execution_options(akool_read_only=True) as connection:
            yield connection

    @contextlib.contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """Opens a transaction that no other writer overlaps; it is durable once left.

        Yields:
            The connection.
        """
        with self.engine.begin() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_POSTGRES_LOCK)))
            yield connection


def open_engine(url: str) -> sa.Engine:
    """Opens the ledger's database and makes its tables when they are missing.

    Args:
        url: SQLAlchemy URL, SQLite or PostgreSQL.

    Returns:
        The engine.

    Raises:
        LedgerError: The database cannot be opened or has another version.
    """
    address = sa.make_url(url)
    if address.get_backend_name() == "sqlite" and address.database:
        _make_folder(Path(address.database).parent)
    try:
        engine = sa.create_engine(address)
    except ModuleNotFoundError as error:
        raise LedgerError(
            f"The ledger's database needs {error.name}: pip install 'akool-dagster[postgres]'."
        ) from error
    if address.get_backend_name() == "sqlite":
        _use_sqlite_safely(engine)
    try:
        _create_tables(engine)
    except SQLAlchemyError as error:
        engine.dispose()
        where = address.render_as_string(hide_password=True)
        raise LedgerError(
            f"The ledger at {where} cannot be opened: {_plain(error)}. "
            "Nothing is sent to AKOOL without it; check AKOOL_LEDGER."
        ) from error
    return engine


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LedgerError(
            f"The ledger's folder {folder} cannot be made: {error.strerror}. Nothing is sent to "
            "AKOOL without a ledger; check AKOOL_DATA and AKOOL_LEDGER."
        ) from error


def _plain(error: SQLAlchemyError) -> str:
    return str(error.__cause__ or error).strip().splitlines()[0]


def _create_tables(engine: sa.Engine) -> None:
    with engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_POSTGRES_LOCK)))
        tables.metadata.create_all(connection)
        version = connection.scalar(sa.select(tables.about.c.version))
        if version is None:
            connection.execute(tables.about.insert().values(version=tables.VERSION))
        elif version != tables.VERSION:
            raise LedgerError(
                f"The ledger has layout {version}, this release of akool-dagster needs "
                f"{tables.VERSION}: use the release that wrote it."
            )


def _use_sqlite_safely(engine: sa.Engine) -> None:
    """Makes SQLite durable and its transactions real.

    WAL lets readers look while one writes; FULL survives a power cut; BEGIN IMMEDIATE takes the
    write lock before the first read, so that no transaction decides on what another is changing.
    """

    @event.listens_for(engine, "connect")
    def _on_connect(connection: Any, _record: object) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout={_SQLITE_WAIT_MS}")
        _switch_to_wal(cursor)
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _on_begin(connection: sa.Connection) -> None:
        read_only = connection.get_execution_options().get("akool_read_only")
        connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")


def _switch_to_wal(cursor: sqlite3.Cursor) -> None:
    """Switches to WAL; two processes that open a new file at once must take turns by hand.

    SQLite answers "database is locked" at once here, without the wait that busy_timeout asks for.
    """
    deadline = time.monotonic() + _SQLITE_WAIT_MS / 1000
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return
