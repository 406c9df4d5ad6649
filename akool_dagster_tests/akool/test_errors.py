import pickle

import pytest

from akool_dagster.akool import errors
from akool_dagster.akool.errors import AkoolError, OutcomeUnknown, TooFrequent

CLASSES = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, AkoolError)
]


@pytest.mark.parametrize("kind", CLASSES)
def test_only_an_unknown_outcome_may_have_charged(kind: type[AkoolError]):
    assert kind("x", endpoint="GET /").may_have_charged is (kind is OutcomeUnknown)


def test_metadata_holds_what_is_known_as_plain_values():
    error = TooFrequent(
        "GET /x: refused.",
        endpoint="GET /x",
        http_status=429,
        code=1005,
        msg="slow",
        advice="Wait.",
        retry_after_seconds=3.0,
    )
    assert error.to_metadata() == {
        "error": "TooFrequent",
        "message": "GET /x: refused.",
        "endpoint": "GET /x",
        "http_status": 429,
        "code": 1005,
        "msg": "slow",
        "may_have_charged": False,
        "advice": "Wait.",
        "retry_after_seconds": 3.0,
    }
    assert str(error) == "GET /x: refused. Wait."
    assert set(AkoolError("x", endpoint="GET /").to_metadata()) == {
        "error",
        "message",
        "endpoint",
        "may_have_charged",
    }


@pytest.mark.parametrize("kind", CLASSES)
def test_errors_survive_pickling(kind: type[AkoolError]):
    error = kind("x", endpoint="GET /", http_status=500, code=1, msg="m", advice="a")
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is kind
    assert (copy.to_metadata(), str(copy), copy.args) == (
        error.to_metadata(),
        str(error),
        error.args,
    )
