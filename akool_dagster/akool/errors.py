"""What can go wrong in a call to AKOOL, one class for each thing that a caller does about it.

```
AkoolError
├── NotSent            nothing left this machine: repeat freely
├── OutcomeUnknown     a create may have been accepted and charged: never repeat unasked
├── Refused            AKOOL (or its gateway) said no: not charged
│   ├── ItemRefused    give up on this item
│   │   ├── NotFound       a read: no such id (yet)
│   │   └── AlreadyExists  an upload: use the existing one
│   ├── TryAgainLater  repeat this item two or three times at most
│   ├── TooFrequent    slow every call down, then repeat
│   └── AccountStopped submit nothing more and tell a person
├── NotReady           a read: AKOOL has nothing to say about this job yet, keep polling
├── Unreachable        a read failed after its retries
└── UnexpectedAnswer   a read was answered in a way this client does not know
```
"""

from typing import Any


class AkoolError(Exception):
    """Base of every error that this package raises about AKOOL.

    No instance holds a credential, a request or another exception. Instances can be pickled.

    Attributes:
        message: What happened, where, with which values.
        endpoint: Method and path, such as ``GET /api/open/v3/avatar/list``.
        http_status: Status line's number, or None where no answer came.
        code: AKOOL's code, or None where the body held none.
        msg: AKOOL's own words, shortened.
        may_have_charged: Whether credits may have been spent on this call.
        advice: What a person should do.
        retry_after_seconds: How long the server asked to wait, if it did.
    """

    charge_possible = False

    def __init__(
        self,
        message: str,
        *,
        endpoint: str,
        http_status: int | None = None,
        code: int | None = None,
        msg: str | None = None,
        advice: str = "",
        retry_after_seconds: float | None = None,
    ):
        super().__init__(message)
        self.message = message
        self.endpoint = endpoint
        self.http_status = http_status
        self.code = code
        self.msg = msg
        self.advice = advice
        self.retry_after_seconds = retry_after_seconds

    @property
    def may_have_charged(self) -> bool:
        """Whether credits may have been spent on this call."""
        return self.charge_possible

    def __str__(self) -> str:
        return f"{self.message} {self.advice}".rstrip()

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (type(self), self.message, dict(self.__dict__))

    def to_metadata(self) -> dict[str, str | int | float | bool]:
        """Everything known, as plain values for a log, a ledger or a table.

        Returns:
            ``error`` (the class name), ``message``, ``endpoint``, ``may_have_charged``, and what
            is known of ``http_status``, ``code``, ``msg``, ``advice``, ``retry_after_seconds``.
        """
        known = {
            "error": type(self).__name__,
            "message": self.message,
            "endpoint": self.endpoint,
            "http_status": self.http_status,
            "code": self.code,
            "msg": self.msg,
            "may_have_charged": self.may_have_charged,
            "advice": self.advice or None,
            "retry_after_seconds": self.retry_after_seconds,
        }
        return {name: value for name, value in known.items() if value is not None}


def _restored(kind: type[AkoolError], message: str, state: dict[str, Any]) -> AkoolError:
    error = kind(message, endpoint=state["endpoint"])
    error.__dict__.update(state)
    return error


class NotSent(AkoolError):
    """A create that cannot have reached AKOOL: repeat it freely.

    The host name did not resolve, the connection, the proxy tunnel or the TLS handshake failed,
    or the log-in before it did. Not one byte of the request's body was handed to the network.
    """


class OutcomeUnknown(AkoolError):
    """A create that AKOOL may have accepted and charged for, though no usable answer came.

    Never repeat it without a decision: AKOOL offers no idempotency key and no way to look a
    create up.
    """

    charge_possible = True


class Refused(AkoolError):
    """AKOOL or its gateway said no: nothing was accepted, nothing is charged."""


class ItemRefused(Refused):
    """This item will be refused however often it is sent: give up on it.

    Also raised, with neither status nor code, for a request that the chosen API cannot express.
    """


class NotFound(ItemRefused):
    """A read of an id that AKOOL does not know (codes 1008 and 1014).

    Just after a create AKOOL may not know the new id yet: allow a grace period.
    """


class AlreadyExists(ItemRefused):
    """The upload's id is taken (code 1222): look the existing one up and use it."""


class TryAgainLater(Refused):
    """May work later, but bad input is answered alike: repeat two or three times at most."""


class TooFrequent(Refused):
    """Code 1005 or HTTP 429: slow down every call, then repeat. See ``retry_after_seconds``."""


class AccountStopped(Refused):
    """Nothing will be accepted until a person acts: credit, key, ban, plan, or a wrong address.

    Submit nothing more; keep polling what runs.
    """


class NotReady(AkoolError):
    """AKOOL answered a look at a job with success but without data.

    Seen in the first seconds after a create: keep polling, for a bounded time.
    """


class Unreachable(AkoolError):
    """No usable answer to a read after its retries: the network, a gateway, or AKOOL is down."""


class UnexpectedAnswer(AkoolError):
    """A read was answered with a shape or a status number that this client does not know."""
