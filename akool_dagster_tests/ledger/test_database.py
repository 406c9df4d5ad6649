from pathlib import Path

import pytest
import sqlalchemy as sa

from akool_dagster.ledger import Ledger, LedgerError


def test_a_ledger_is_durable_and_readable_while_written(ledger: Ledger, tmp_path: Path) -> None:
    with ledger._database.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2


def test_a_ledger_that_cannot_be_opened_says_where_and_why(tmp_path: Path) -> None:
    (tmp_path / "ledger.sqlite").write_text("this is not a database, but long enough to be read")
    with pytest.raises(LedgerError, match=r"ledger\.sqlite cannot be opened.*AKOOL_LEDGER"):
        Ledger.open(f"sqlite:///{tmp_path / 'ledger.sqlite'}", service="emulator")


def test_a_ledger_of_another_release_is_refused(ledger_url: str) -> None:
    Ledger.open(ledger_url, service="emulator").close()
    engine = sa.create_engine(ledger_url)
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE akool_ledger SET version = 99")
    engine.dispose()
    with pytest.raises(LedgerError, match="layout 99"):
        Ledger.open(ledger_url, service="emulator")


def test_a_password_is_not_shown(tmp_path: Path) -> None:
    url = "postgresql+psycopg2://user:top-secret@127.0.0.1:1/none"
    with pytest.raises(LedgerError) as caught:
        Ledger.open(url, service="emulator")
    assert "top-secret" not in str(caught.value)
