"""AKOOL's envelope: ``{"code": ..., "msg": ..., "data": ...}``, and its refusals."""

import json
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse

OK = 1000

# Docs: error-code page, with the wordings of the endpoint pages.
MESSAGES = {
    1003: "Parameter error or Parameter can not be empty",
    1004: "Requires verification",
    1005: "Frequent operation",
    1006: "Your quota is not enough",
    1008: "The content you get does not exist",
    1009: "You do not have permission to operate",
    1010: "You can not operate this content",
    1014: "Resource does not exist",
    1015: "create video error, please try again later",
    1017: "Audio not created",
    1101: "Illegal token",
    1102: "Authorization can not be empty",
    1103: "Your account is unpaid or overdue",
    1104: "Insufficient credits",
    1108: "Image processing error, please try again later",
    1109: "Account does not exist",
    1110: "Audio processing error",
    1112: "Voice processing error",
    1200: "Account has been banned",
    1201: "create audio error, please try again later",
    1205: "create video error, please try again later",
    1211: "Lip sync error, please try again later",
    1222: "Resource already exists",
    2001: "Server error",
}

_HTTP_STATUS = {
    1101: 401,
    1102: 401,
    1109: 401,
    1200: 403,
    1005: 429,
    1015: 500,
    1201: 500,
    1205: 500,
    2001: 500,
}


class Refusal(Exception):
    """A call that AKOOL answers with a code other than 1000.

    Args:
        code: AKOOL's code.
        msg: AKOOL's words; those of the error-code page by default.
    """

    def __init__(self, code: int, msg: str | None = None) -> None:
        self.code = code
        self.msg = msg or MESSAGES.get(code, "error")
        super().__init__(f"{code} {self.msg}")


def success(data: Any, *, msg: str = "OK") -> JSONResponse:
    """An answer with code 1000."""
    return JSONResponse({"code": OK, "msg": msg, "data": data})


def refused(refusal: Refusal, *, real_http_status: bool) -> JSONResponse:
    """An answer with another code and, as observed, without ``data``."""
    status = _HTTP_STATUS.get(refusal.code, 200) if real_http_status else 200
    return JSONResponse({"code": refusal.code, "msg": refusal.msg}, status_code=status)


async def json_body(request: Request) -> dict[str, Any]:
    """The request's body.

    Raises:
        Refusal: With 1003, when it is not a JSON object.
    """
    try:
        body = json.loads(await request.body())
    except ValueError:
        raise Refusal(1003, "The request body is not JSON") from None
    if not isinstance(body, dict):
        raise Refusal(1003, "The request body is not a JSON object")
    return body


def text_field(body: dict[str, Any], name: str, *, required: bool = True) -> str:
    """A text field of a body, stripped; empty when it is absent and not required.

    Raises:
        Refusal: With 1003, naming the field.
    """
    value = body.get(name)
    if value is None or value == "":
        if required:
            raise Refusal(1003, f"{name} can not be empty")
        return ""
    if not isinstance(value, str):
        raise Refusal(1003, f"{name} must be a string, not {value!r}")
    if required and not value.strip():
        raise Refusal(1003, f"{name} can not be empty")
    return value.strip()


def number_field(
    body: dict[str, Any], name: str, *, default: float | None = None, low: float, high: float
) -> float:
    """A number field of a body within bounds; a string of digits is taken too.

    Raises:
        Refusal: With 1003, naming the field, its value and the bounds.
    """
    value = body.get(name, default)
    if isinstance(value, str):
        value = _number(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise Refusal(
            1003, f"{name} must be a number from {low:g} to {high:g}, not {body.get(name)!r}"
        )
    return float(value)


def query_number(request: Request, name: str, *, default: int) -> int:
    """A whole number of 1 or more from the query string.

    Raises:
        Refusal: With 1003, naming the parameter.
    """
    text = request.query_params.get(name, "")
    if not text:
        return default
    if not text.isdigit() or int(text) < 1:
        raise Refusal(1003, f"{name} must be a whole number of 1 or more, not {text!r}")
    return int(text)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
