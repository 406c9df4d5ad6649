"""What each number in an answer of AKOOL means, and what a caller should do about it.

Codes and meanings: AKOOL's error-code page, joined with the code lists of the endpoint pages.
The class and the advice of a code are this project's judgement.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType

SUCCESS = 1000
TOO_FREQUENT = 1005
LOWEST_AKOOL_CODE = 1000


class CodeClass(Enum):
    """What a caller does about a code."""

    OK = "ok"
    RETRY = "retry"
    """Back off and ask again (bounded)."""
    RETRY_FEW = "retry a few times"
    """Ask again two or three times at most, because bad input is answered alike."""
    ITEM = "give up on this item"
    ACCOUNT = "stop submitting"
    """Submit nothing more, keep polling what runs, tell a person."""
    LOGIN = "log in again"
    """Fetch a new token once; with an API key, or right after a login, as ACCOUNT."""
    PROBE = "probe the credential"
    """Ask for the balance: if that is answered, as RETRY_FEW, otherwise as ACCOUNT."""
    EXISTS = "already there"
    """Look the existing one up and use it."""
    ADDRESS = "wrong address"
    """The base URL does not lead to AKOOL: nothing works until a person corrects it."""


@dataclass(frozen=True)
class Meaning:
    """One row of the tables.

    Attributes:
        number: AKOOL's code, or an HTTP status.
        text: What it means, in the words of AKOOL's pages where they have any.
        kind: What a caller does about it.
        advice: What a person should do.
    """

    number: int
    text: str
    kind: CodeClass
    advice: str


_ADVICE = {
    CodeClass.OK: "",
    CodeClass.RETRY: "Wait and ask again, less often.",
    CodeClass.RETRY_FEW: (
        "Try again later; if it comes back, check the script, the voice and that every link "
        "can be opened without a login."
    ),
    CodeClass.ITEM: "Correct this item; asking again with the same content gives the same answer.",
    CodeClass.ACCOUNT: "Submit nothing more until the account is in order at akool.com.",
    CodeClass.LOGIN: "Check the API key, or the client id and secret.",
    CodeClass.PROBE: (
        "Check the API key; if the balance can be read with it, AKOOL could not make this item: "
        "check its avatar, its voice and its links."
    ),
    CodeClass.EXISTS: "Look the existing one up and use it, or choose another id.",
    CodeClass.ADDRESS: "Check the base URL (AKOOL_BASE_URL) and any proxy in between.",
}
_OTHER_PRODUCT = "This code belongs to another AKOOL product; check what was asked for."
_CREDIT = "Top up the account at akool.com; items that were not accepted stay pending."

_ROWS: tuple[tuple[int, str, CodeClass, str | None], ...] = (
    (1000, "success", CodeClass.OK, None),
    (1003, "parameter error or empty, or unsupported by the account", CodeClass.ITEM, None),
    (1004, "requires verification", CodeClass.ACCOUNT, "Finish the verification at akool.com."),
    (1005, "too frequent", CodeClass.RETRY, "Slow down every call of this account, not one item."),
    (1006, "quota not enough", CodeClass.ACCOUNT, _CREDIT),
    (1007, "more than 8 faces", CodeClass.ITEM, _OTHER_PRODUCT),
    (
        1008,
        "content does not exist",
        CodeClass.ITEM,
        "Check the id; just after a create, wait a minute and look again.",
    ),
    (
        1009,
        "no permission",
        CodeClass.ITEM,
        "The id may belong to another team; if every call says so, check the credential.",
    ),
    (1010, "content cannot be operated", CodeClass.ITEM, None),
    (
        1011,
        "content already operated",
        CodeClass.ITEM,
        "The work may have been done before: look at akool.com before asking again.",
    ),
    (1013, "audio must be in the video", CodeClass.ITEM, None),
    (
        1014,
        "resource does not exist or no access",
        CodeClass.ITEM,
        "Check the id of the avatar, voice or job; just after a create, look again in a minute.",
    ),
    (
        1015,
        "create video error, please try again later",
        CodeClass.RETRY_FEW,
        "Try again later; if it comes back, check that AKOOL can open every link without a login.",
    ),
    (1016, "face swap error", CodeClass.ITEM, _OTHER_PRODUCT),
    (
        1017,
        "audio not created",
        CodeClass.RETRY_FEW,
        "Wait until the audio is finished, then create the video.",
    ),
    (1101, "invalid or expired token", CodeClass.LOGIN, None),
    (
        1102,
        "authorization empty",
        CodeClass.ACCOUNT,
        "Check that the API key, or the client id and secret, are set.",
    ),
    (1103, "account unpaid or overdue", CodeClass.ACCOUNT, "Settle the bill at akool.com."),
    (1104, "insufficient credit", CodeClass.ACCOUNT, _CREDIT),
    (1105, "avatar processing error", CodeClass.RETRY_FEW, None),
    (1108, "image processing error, please try again later", CodeClass.RETRY_FEW, None),
    (
        1109,
        "create avatar video error, account does not exist, or invalid API key",
        CodeClass.PROBE,
        None,
    ),
    (1110, "audio processing error", CodeClass.RETRY_FEW, None),
    (1111, "avatar callback processing error", CodeClass.RETRY_FEW, None),
    (1112, "voice processing error", CodeClass.RETRY_FEW, None),
    (1200, "account banned or suspended", CodeClass.ACCOUNT, "Ask AKOOL's support."),
    (
        1201,
        "create audio error, please try again later",
        CodeClass.RETRY_FEW,
        "Try again later; if it comes back, check the voice and the text.",
    ),
    (
        1202,
        "same video, same language lip sync more than once",
        CodeClass.ITEM,
        _OTHER_PRODUCT,
    ),
    (1203, "video must have audio", CodeClass.ITEM, None),
    (1204, "video longer than 60 seconds", CodeClass.ITEM, None),
    (1205, "create video error, please try again later", CodeClass.RETRY_FEW, None),
    (1206, "background change error", CodeClass.ITEM, _OTHER_PRODUCT),
    (1207, "video larger than 300 MB", CodeClass.ITEM, None),
    (1208, "video parsing error", CodeClass.RETRY_FEW, None),
    (1209, "video encoding not supported", CodeClass.ITEM, None),
    (1210, "video frame rate too high", CodeClass.ITEM, None),
    (1211, "lip sync error, please try again later", CodeClass.RETRY_FEW, None),
    (1212, "sentiment analysis failed", CodeClass.ITEM, _OTHER_PRODUCT),
    (1213, "subscription required", CodeClass.ACCOUNT, "Subscribe to a plan with API access."),
    (1214, "live avatar in processing", CodeClass.ITEM, _OTHER_PRODUCT),
    (1215, "live avatar is busy", CodeClass.ITEM, _OTHER_PRODUCT),
    (1216, "live avatar session does not exist", CodeClass.ITEM, _OTHER_PRODUCT),
    (1217, "live avatar callback error", CodeClass.ITEM, _OTHER_PRODUCT),
    (1218, "live avatar processing error", CodeClass.ITEM, _OTHER_PRODUCT),
    (1219, "live avatar closed", CodeClass.ITEM, _OTHER_PRODUCT),
    (
        1220,
        "avatar upload error",
        CodeClass.RETRY_FEW,
        "Try again later; if it comes back, check the avatar's video.",
    ),
    (1221, "account not subscribed", CodeClass.ACCOUNT, "Subscribe to a plan with API access."),
    (1222, "resource already exists", CodeClass.EXISTS, None),
    (
        1223,
        "avatar upload limit exceeded",
        CodeClass.ACCOUNT,
        "Delete an avatar at akool.com or choose a larger plan.",
    ),
    (1232, "knowledge base error", CodeClass.ITEM, _OTHER_PRODUCT),
    (1233, "knowledge base error", CodeClass.ITEM, _OTHER_PRODUCT),
    (1234, "knowledge base error", CodeClass.ITEM, _OTHER_PRODUCT),
    (1235, "knowledge base error", CodeClass.ITEM, _OTHER_PRODUCT),
    (1236, "knowledge base error", CodeClass.ITEM, _OTHER_PRODUCT),
    (2001, "server error", CodeClass.RETRY, "AKOOL has a fault of its own: try again later."),
)

# The statuses below mean by their definition (RFC 9110, RFC 6585) that the request was not
# carried out. Those that may follow upon work done (302, 303, 408, 409, 5xx) are left out.
_HTTP_ROWS: tuple[tuple[int, str, CodeClass, str | None], ...] = (
    (301, "moved permanently", CodeClass.ADDRESS, None),
    (307, "temporary redirect", CodeClass.ADDRESS, None),
    (308, "permanent redirect", CodeClass.ADDRESS, None),
    (400, "bad request", CodeClass.ITEM, None),
    (401, "unauthorized", CodeClass.LOGIN, None),
    (402, "payment required", CodeClass.ACCOUNT, _CREDIT),
    (403, "forbidden", CodeClass.PROBE, None),
    (404, "not found", CodeClass.ADDRESS, None),
    (405, "method not allowed", CodeClass.ADDRESS, None),
    (407, "proxy authentication required", CodeClass.ADDRESS, None),
    (413, "content too large", CodeClass.ITEM, "Shorten the script."),
    (414, "address too long", CodeClass.ITEM, None),
    (415, "unsupported media type", CodeClass.ADDRESS, None),
    (421, "misdirected request", CodeClass.ADDRESS, None),
    (422, "unprocessable content", CodeClass.ITEM, None),
    (429, "too many requests", CodeClass.RETRY, "Slow down every call of this account."),
    (431, "request header fields too large", CodeClass.ADDRESS, None),
)


def _table(rows: tuple[tuple[int, str, CodeClass, str | None], ...]) -> Mapping[int, Meaning]:
    return MappingProxyType(
        {
            number: Meaning(number, text, kind, _ADVICE[kind] if advice is None else advice)
            for number, text, kind, advice in rows
        }
    )


CODES: Mapping[int, Meaning] = _table(_ROWS)
"""Every code that AKOOL documents."""

HTTP_REFUSALS: Mapping[int, Meaning] = _table(_HTTP_ROWS)
"""HTTP statuses that prove, even without a body of AKOOL's, that nothing was accepted."""


def describe_code(code: int) -> Meaning:
    """Look a code of AKOOL up.

    Args:
        code: The number from an answer's ``code`` or a failed video's ``error_code``.

    Returns:
        Its row; for a code that no page names, a row of class ``RETRY_FEW``.
    """
    known = CODES.get(code)
    if known:
        return known
    advice = f"{_ADVICE[CodeClass.RETRY_FEW]} AKOOL does not document this code."
    return Meaning(code, "undocumented code", CodeClass.RETRY_FEW, advice)


def judge(*, http_status: int, code: int | None) -> Meaning | None:
    """Decide what an answer says about the request.

    AKOOL's own code counts whatever the HTTP status is (docs: "the HTTP status is often 200;
    always use code"). AKOOL's codes have four digits, so a smaller number comes from a gateway
    or proxy and says nothing; so does an undocumented code beside HTTP 408 or 5xx.

    Args:
        http_status: The status line's number.
        code: The body's ``code``, or None where there is no JSON object with an integer one.

    Returns:
        The meaning, or None where nothing proves what happened to the request.
    """
    if code is not None and code in CODES:
        return CODES[code]
    failed_below = http_status == 408 or http_status >= 500
    if code is not None and code >= LOWEST_AKOOL_CODE and not failed_below:
        return HTTP_REFUSALS.get(http_status) or describe_code(code)
    return HTTP_REFUSALS.get(http_status)
