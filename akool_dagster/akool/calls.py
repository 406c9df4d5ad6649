"""The rules of calling AKOOL: reads are repeated, creates are sent once, a refusal has a class.

What a create's answer means, in this order:

1. A body that is one whole JSON object with AKOOL's code (four digits) counts, whatever the HTTP
   status is and however its transfer ended: 1000 is acceptance, any other code a refusal. Losing
   an accepted id is the worst that can happen, so HTTP 500 with code 1000 and an id is accepted.
2. Otherwise an HTTP status that means by definition "not carried out" is a refusal: 301, 307 and
   308, 400 to 405, 407, 413 to 415, 421, 422, 429 and 431.
3. Everything else leaves the outcome unknown: 2xx without a code, 302, 303, 408, 409, 5xx, a
   gateway's page, half a body, a connection that broke or fell silent once the body was on its
   way; and code 1000 without an id.
4. A failure before the first byte of the body was handed over means: not sent.
"""

import json
import logging
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from requests.auth import AuthBase

from akool_dagster.akool.codes import SUCCESS, TOO_FREQUENT, CodeClass, Meaning, judge
from akool_dagster.akool.credentials import (
    ApiKey,
    BearerHeader,
    ClientLogin,
    Credential,
    NoHeader,
    Secrets,
    is_header_safe,
)
from akool_dagster.akool.errors import (
    AccountStopped,
    AkoolError,
    AlreadyExists,
    ItemRefused,
    NotFound,
    NotReady,
    NotSent,
    OutcomeUnknown,
    TooFrequent,
    TryAgainLater,
    UnexpectedAnswer,
    Unreachable,
)
from akool_dagster.akool.login import Login
from akool_dagster.akool.parsing import NoRecord, UnexpectedShape, token
from akool_dagster.akool.transport import (
    Answer,
    NoAnswer,
    Request,
    Timeouts,
    Transport,
)

QUOTA_PATH = "/api/open/v3/faceswap/quota/info"
TOKEN_PATH = "/api/open/v3/getToken"  # noqa: S105 - a path, not a secret

READ_ATTEMPTS = 5
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 20.0
LONGEST_RETRY_AFTER_SECONDS = 60.0

_CREATE_UNKNOWN_ADVICE = (
    "AKOOL may have accepted and charged it. Do not send it again before looking for it at "
    "akool.com or waiting for its webhook."
)
_ABSENT_CODES = (1008, 1014)

_Parsed = TypeVar("_Parsed")
_log = logging.getLogger("akool_dagster.akool")


class Calls:
    """Reads and creates, by the rules above; safe to share between threads.

    Args:
        credential: Who is calling.
        base_url: Root of the API, without a slash at its end.
        timeouts: How long a call may take.
        pool_size: Reads at once.
        clock: Seconds that only grow.
        sleep: Waits for some seconds.
        random: A number from 0 up to 1, for the spread of pauses.
    """

    def __init__(
        self,
        credential: Credential,
        *,
        base_url: str,
        timeouts: Timeouts,
        pool_size: int,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
        random: Callable[[], float],
    ):
        self._timeouts = timeouts
        self._clock = clock
        self._sleep = sleep
        self._random = random
        self._secrets = Secrets()
        self._secrets.add(
            credential.key if isinstance(credential, ApiKey) else credential.client_secret
        )
        self._login = Login(credential, fetch_token=self._fetch_token)
        self._transport = Transport(
            base_url, timeouts=timeouts, pool_size=pool_size, redact=self._secrets.redact
        )

    def read(
        self,
        path: str,
        parse: Callable[[Any], _Parsed],
        *,
        params: Mapping[str, str | int] | None = None,
    ) -> _Parsed:
        """Ask for something, again if need be: a read costs nothing.

        Repeated are: no answer, a gateway's page, HTTP 408, 425, 429 and 5xx, codes 1005 and
        2001. The pauses double, with full jitter; ``Retry-After`` is obeyed up to a minute, and
        beyond that the call ends. Code 1101 with a client login fetches a new token once.

        Args:
            path: Below the base URL.
            parse: Turns the answer's ``data`` into a model.
            params: Query of the address.

        Returns:
            What ``parse`` made.

        Raises:
            Refused: AKOOL said no; see its subclasses.
            NotReady: The job has no data yet.
            Unreachable: No usable answer came.
            UnexpectedAnswer: The answer is not understood.
        """
        return self.ask(Request(method="GET", path=path, params=params or {}), parse)

    def ask(self, request: Request, parse: Callable[[Any], _Parsed]) -> _Parsed:
        """Send what costs nothing and may arrive twice without harm, by the rules of ``read``.

        Args:
            request: A GET, or a POST that is harmless when repeated; see ``free_request``.
            parse: Turns the answer's ``data`` into a model.

        Returns:
            What ``parse`` made.

        Raises:
            Refused, NotReady, Unreachable, UnexpectedAnswer: As ``read``.
        """
        header = self._login.header()
        outcome = self._repeated(request, header)
        if _is_login_problem(outcome) and self._login.rejected(header):
            header = self._login.header()
            outcome = self._repeated(request, header)
        answer = self._accepted_read(request, outcome)
        self._login.accepted(header)
        return self._parsed_read(request, answer, parse)

    def create(self, request: Request, parse: Callable[[Any], _Parsed]) -> _Parsed:
        """Ask for something that costs credits: sent at most once, on a connection of its own.

        Args:
            request: See ``paid_request``.
            parse: Turns the answer's ``data`` into a model.

        Returns:
            What ``parse`` made.

        Raises:
            NotSent: AKOOL cannot have received it.
            OutcomeUnknown: AKOOL may have accepted it.
            Refused: AKOOL said no; see its subclasses.
        """
        header = self._header_for_create(request)
        outcome = self._exchange(
            request, header, seconds=self._timeouts.total_seconds, own_connection=True
        )
        answer = self._accepted_create(request, outcome, header)
        self._login.accepted(header)
        return self._parsed_create(request, answer, parse)

    def close(self) -> None:
        """Close the open connections."""
        self._transport.close()

    def _exchange(
        self, request: Request, header: AuthBase, *, seconds: float, own_connection: bool = False
    ) -> Answer | NoAnswer:
        started = self._clock()
        outcome = self._transport.exchange(
            request, auth=header, seconds=seconds, own_connection=own_connection
        )
        result = (
            f"no answer: {outcome.reason}"
            if isinstance(outcome, NoAnswer)
            else f"HTTP {outcome.http_status}, code {outcome.code}"
        )
        elapsed = round((self._clock() - started) * 1000)
        _log.debug("%s %s: %s, %d ms", request.method, request.path, result, elapsed)
        return outcome

    def _repeated(self, request: Request, header: AuthBase) -> Answer | NoAnswer:
        deadline = self._clock() + self._timeouts.total_seconds
        outcome = self._exchange(request, header, seconds=deadline - self._clock())
        for repeat in range(READ_ATTEMPTS - 1):
            if not _is_passing(outcome):
                break
            pause = self._pause(repeat, outcome)
            if pause is None or self._clock() + pause >= deadline:
                break
            self._sleep(pause)
            outcome = self._exchange(request, header, seconds=deadline - self._clock())
        return outcome

    def _pause(self, repeat: int, outcome: Answer | NoAnswer) -> float | None:
        """Seconds until the next attempt; None where the server asks for too long a wait."""
        ceiling = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2**repeat)
        jitter = self._random() * ceiling
        asked = outcome.retry_after_seconds if isinstance(outcome, Answer) else None
        if asked is None:
            return jitter
        return asked + jitter if asked <= LONGEST_RETRY_AFTER_SECONDS else None

    def _accepted_read(self, request: Request, outcome: Answer | NoAnswer) -> Answer:
        if isinstance(outcome, NoAnswer):
            raise Unreachable(
                f"{request}: no answer, {outcome.reason}.",
                endpoint=request.endpoint,
                advice="Check the network, then ask again; AKOOL keeps what it has accepted.",
            )
        if outcome.code == SUCCESS:
            return outcome
        meaning = _meaning(outcome)
        if meaning is None and _is_passing(outcome):
            raise self._error(
                Unreachable,
                request,
                outcome,
                f"HTTP {outcome.http_status} without an answer of AKOOL's: {_shown(outcome)}.",
                advice="Ask again later; AKOOL keeps what it has accepted.",
            )
        if meaning is None or meaning.kind is CodeClass.ADDRESS:
            raise self._error(
                UnexpectedAnswer,
                request,
                outcome,
                f"HTTP {outcome.http_status} with an unknown body: {_shown(outcome)}.",
                advice="Check the base URL (AKOOL_BASE_URL) and any proxy in between.",
            )
        raise self._refusal(request, outcome, meaning)

    def _accepted_create(
        self, request: Request, outcome: Answer | NoAnswer, header: AuthBase
    ) -> Answer:
        if isinstance(outcome, NoAnswer) and not outcome.body_left:
            raise NotSent(
                f"{request}: not sent, {outcome.reason}.",
                endpoint=request.endpoint,
                advice="Nothing reached AKOOL: it can be sent again.",
            )
        if isinstance(outcome, NoAnswer):
            raise OutcomeUnknown(
                f"{request}: sent, but no answer came, {outcome.reason}.",
                endpoint=request.endpoint,
                advice=_CREATE_UNKNOWN_ADVICE,
            )
        meaning = _meaning(outcome)
        if meaning is None:
            raise self._error(
                OutcomeUnknown,
                request,
                outcome,
                f"sent, but HTTP {outcome.http_status} says nothing of its fate: "
                f"{_shown(outcome)}.",
                advice=_CREATE_UNKNOWN_ADVICE,
            )
        if meaning.kind is CodeClass.OK:
            return outcome
        if meaning.kind is CodeClass.LOGIN and self._login.rejected(header) and _proven(header):
            raise self._error(
                TryAgainLater,
                request,
                outcome,
                self._refused_text(request, outcome, meaning),
                advice="The token had expired; the next attempt logs in again.",
            )
        raise self._refusal(request, outcome, meaning)

    def _parsed_read(
        self, request: Request, answer: Answer, parse: Callable[[Any], _Parsed]
    ) -> _Parsed:
        try:
            return parse(answer.envelope.get("data"))
        except UnexpectedShape as problem:
            text, is_empty = str(problem), isinstance(problem, NoRecord)
        if is_empty:
            raise self._error(
                NotReady, request, answer, f"{text}.", advice="Look again in some seconds."
            )
        raise self._error(
            UnexpectedAnswer,
            request,
            answer,
            f"{self._transport.legible(text, request)}; the answer begins {answer.excerpt}",
            advice="AKOOL may have changed its interface: look for a newer akool-dagster.",
        )

    def _parsed_create(
        self, request: Request, answer: Answer, parse: Callable[[Any], _Parsed]
    ) -> _Parsed:
        try:
            return parse(answer.envelope.get("data"))
        except UnexpectedShape as problem:
            text = str(problem)
        raise self._error(
            OutcomeUnknown,
            request,
            answer,
            f"accepted, but {self._transport.legible(text, request)}; the answer begins "
            f"{answer.excerpt}",
            advice=_CREATE_UNKNOWN_ADVICE,
        )

    def _header_for_create(self, request: Request) -> AuthBase:
        try:
            return self._login.header()
        except (Unreachable, UnexpectedAnswer) as problem:
            failed = problem
        kind = NotSent if isinstance(failed, Unreachable) else AccountStopped
        raise kind(
            f"{request}: not sent, because the log-in failed: {failed.message}",
            endpoint=request.endpoint,
            advice=failed.advice,
        )

    def _fetch_token(self, login: ClientLogin) -> str:
        # Asking for a token costs nothing, so this POST is repeated as a read is.
        request = Request(
            method="POST",
            path=TOKEN_PATH,
            body=_json({"clientId": login.client_id, "clientSecret": login.client_secret}),
        )
        answer = self._accepted_read(request, self._repeated(request, NoHeader()))
        found = _token_of(answer)
        if found is None:
            raise self._error(
                AccountStopped,
                request,
                answer,
                "the log-in succeeded, but its answer holds no usable token.",
                advice="Use an API key instead, or ask AKOOL's support.",
            )
        self._secrets.add(found)
        return found

    def _credential_works(self) -> bool:
        try:
            self.read(QUOTA_PATH, lambda data: data)
        except AkoolError:
            return False
        return True

    def _refusal(self, request: Request, answer: Answer, meaning: Meaning) -> AkoolError:
        return self._error(
            self._refusal_class(request, meaning),
            request,
            answer,
            self._refused_text(request, answer, meaning),
            advice=meaning.advice,
        )

    def _refusal_class(self, request: Request, meaning: Meaning) -> type[AkoolError]:
        if meaning.kind is CodeClass.PROBE:
            works = request.path not in (QUOTA_PATH, TOKEN_PATH) and self._credential_works()
            return TryAgainLater if works else AccountStopped
        if meaning.kind is CodeClass.RETRY:
            is_rate = meaning.number in (TOO_FREQUENT, 429)
            return TooFrequent if is_rate else TryAgainLater
        if meaning.kind is CodeClass.ITEM and request.method == "GET":
            return NotFound if meaning.number in _ABSENT_CODES else ItemRefused
        return {
            CodeClass.ITEM: ItemRefused,
            CodeClass.EXISTS: AlreadyExists,
            CodeClass.RETRY_FEW: TryAgainLater,
        }.get(meaning.kind, AccountStopped)

    def _refused_text(self, request: Request, answer: Answer, meaning: Meaning) -> str:
        kind = "code" if meaning.number == answer.code else "HTTP"
        said = self._msg(request, answer) or _shown(answer)
        return f"refused with {kind} {meaning.number} ({meaning.text}): {said}."

    def _error(
        self,
        kind: type[AkoolError],
        request: Request,
        answer: Answer,
        text: str,
        *,
        advice: str,
    ) -> AkoolError:
        return kind(
            f"{request}: {text}",
            endpoint=request.endpoint,
            http_status=answer.http_status,
            code=answer.code,
            msg=self._msg(request, answer),
            advice=advice,
            retry_after_seconds=answer.retry_after_seconds,
        )

    def _msg(self, request: Request, answer: Answer) -> str | None:
        msg = answer.envelope.get("msg")
        if not isinstance(msg, str) or not msg.strip():
            return None
        return self._transport.legible(msg, request)


def free_request(path: str, payload: Mapping[str, Any]) -> Request:
    """Write a POST down that costs nothing and may arrive twice without harm.

    Args:
        path: Below the base URL.
        payload: The body.
    """
    return Request(method="POST", path=path, body=_json(payload))


def paid_request(path: str, payload: Mapping[str, Any]) -> Request:
    """Write a create down, so that no traceback shows its body.

    Args:
        path: Below the base URL.
        payload: The body. Its ``webhookUrl``, which may carry a token, is kept out of errors.
    """
    hidden = (payload.get("webhookUrl") or "",)
    return Request(method="POST", path=path, body=_json(payload), hidden=hidden)


def _json(payload: Mapping[str, Any]) -> bytes:
    return json.dumps(payload, allow_nan=False).encode()


def _token_of(answer: Answer) -> str | None:
    try:
        found = token(answer.envelope)
    except UnexpectedShape:
        return None
    return found if is_header_safe(found) else None


def _proven(header: AuthBase) -> bool:
    return isinstance(header, BearerHeader) and header.proven


def _meaning(answer: Answer) -> Meaning | None:
    return judge(http_status=answer.http_status, code=answer.code)


def _is_login_problem(outcome: Answer | NoAnswer) -> bool:
    if isinstance(outcome, NoAnswer):
        return False
    meaning = _meaning(outcome)
    return meaning is not None and meaning.kind is CodeClass.LOGIN


def _is_passing(outcome: Answer | NoAnswer) -> bool:
    """Whether a read that ended this way may succeed when it is repeated."""
    if isinstance(outcome, NoAnswer):
        return True
    meaning = _meaning(outcome)
    if meaning is not None:
        return meaning.kind is CodeClass.RETRY
    if outcome.http_status < 400:
        return not outcome.is_json
    return outcome.http_status in (408, 425) or outcome.http_status >= 500


def _shown(answer: Answer) -> str:
    excerpt = answer.excerpt or "an empty body"
    return f"{excerpt} ({answer.problem})" if answer.problem else excerpt
