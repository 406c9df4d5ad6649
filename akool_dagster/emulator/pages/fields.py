"""Reads the fields that the pages creating a video share."""

import re
from typing import Any

from akool_dagster.emulator.answers import Refusal, number_field

_COLOUR = re.compile(r"#(?:[0-9a-fA-F]{3}|[0-9a-fA-F]{6}|[0-9a-fA-F]{8})")
_LARGEST_OFFSET = 100_000.0
_LARGEST_SIDE = 8_192.0


def link(value: Any, name: str) -> str:
    """An http or https link.

    Raises:
        Refusal: With 1003.
    """
    if not isinstance(value, str) or not value.strip().startswith(("http://", "https://")):
        raise Refusal(1003, f"{name} must be an http or https link, not {value!r}")
    return value.strip()


def colour(value: Any, name: str) -> str:
    """A hex colour, as ``#rrggbb``.

    Raises:
        Refusal: With 1003.
    """
    if not isinstance(value, str) or not _COLOUR.fullmatch(value.strip()):
        raise Refusal(1003, f"{name} must be a hex colour such as #ffffff, not {value!r}")
    digits = value.strip()[1:]
    return "#" + ("".join(digit * 2 for digit in digits) if len(digits) == 3 else digits[:6])


def colour_or_link(value: Any, name: str) -> str:
    """A hex colour or a link.

    Raises:
        Refusal: With 1003.
    """
    is_colour = isinstance(value, str) and value.strip().startswith("#")
    return colour(value, name) if is_colour else link(value, name)


def objects(body: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """A non-empty array of objects.

    Raises:
        Refusal: With 1003.
    """
    value = body.get(name)
    if not isinstance(value, list) or not value:
        raise Refusal(1003, f"{name} must be a non-empty array")
    for item in value:
        if not isinstance(item, dict):
            raise Refusal(1003, f"{name} must hold objects, not {item!r}")
    return value


def sides(body: dict[str, Any], *, default: tuple[int, int] | None = None) -> tuple[int, int]:
    """Width and height of a canvas, in pixels.

    Raises:
        Refusal: With 1003.
    """
    width, height = (
        number_field(body, name, default=default and default[index], low=16, high=_LARGEST_SIDE)
        for index, name in enumerate(("width", "height"))
    )
    return int(width), int(height)


def placement(
    element: dict[str, Any], canvas: tuple[int, int]
) -> tuple[float, float, float, float]:
    """Centre and size of an element, in pixels.

    The text of the talking-avatar page calls the offset the upper left corner, but its samples,
    and the older page's, centre a canvas-filling element with half of the canvas.
    """
    width = number_field(element, "width", default=canvas[0], low=1, high=_LARGEST_SIDE * 4)
    height = number_field(element, "height", default=canvas[1], low=1, high=_LARGEST_SIDE * 4)
    scale_x = number_field(element, "scale_x", default=1, low=0, high=10)
    scale_y = number_field(element, "scale_y", default=1, low=0, high=10)
    x = _offset(element, "offset_x", canvas[0] / 2)
    y = _offset(element, "offset_y", canvas[1] / 2)
    return x, y, max(1.0, width * scale_x), max(1.0, height * scale_y)


def _offset(element: dict[str, Any], name: str, default: float) -> float:
    return number_field(element, name, default=default, low=-_LARGEST_OFFSET, high=_LARGEST_OFFSET)
