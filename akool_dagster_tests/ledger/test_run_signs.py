from akool_dagster.ledger import Ledger
from akool_dagster.ledger.run_signs import SILENT_SECONDS
from akool_dagster_tests.ledger.conftest import Clock


def test_a_run_lives_as_long_as_it_gives_signs(ledger: Ledger, clock: Clock) -> None:
    ledger.run_signs.give("killed")
    ledger.run_signs.give("ended")
    ledger.run_signs.end("ended")
    clock.now += SILENT_SECONDS
    ledger.run_signs.give("busy")
    ledger.run_signs.give("busy")
    assert ledger.run_signs.living() == {"killed", "busy"}
    clock.now += 1
    assert ledger.run_signs.living() == {"busy"}
