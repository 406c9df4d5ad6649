from akool_dagster.ledger import Ledger
from akool_dagster.ledger.account import PROBE_SECONDS
from akool_dagster_tests.ledger.conftest import Clock


def test_an_account_stops_once_and_opens_again(ledger: Ledger, clock: Clock) -> None:
    assert ledger.account.open_stop() is None
    stop = ledger.account.stop(code=1006, reason="quota not enough", advice="top up")
    assert ledger.account.stop(code=1104, reason="again", advice=None) == stop

    assert not ledger.account.claim_probe(stop)
    clock.now += PROBE_SECONDS
    assert ledger.account.claim_probe(stop)
    assert not ledger.account.claim_probe(stop)

    ledger.account.reopen(stop)
    assert ledger.account.open_stop() is None
