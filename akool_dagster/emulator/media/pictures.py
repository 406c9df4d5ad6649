"""Draws what a video shows: canvas, avatar, subtitle and the emulator's mark."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from akool_dagster.emulator.media.fonts import Drawable, drawable

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageFont import FreeTypeFont

LONGEST_SIDE = 640
_MARK = "AKOOL emulator"
_SKIN = ("#f1c9a5", "#c98e62", "#8d5a3b", "#e3b088")
_HAIR = ("#2b2320", "#5a3a22", "#8a6a3c", "#3c3c44")


@dataclass(frozen=True, kw_only=True)
class Portrait:
    """A drawn person.

    Attributes:
        name: Decides skin and hair.
        colour: Of the clothes, ``#rrggbb``.
        female: Whether the hair is long.
    """

    name: str
    colour: str
    female: bool = True


@dataclass(frozen=True, kw_only=True)
class Scene:
    """What a video shows.

    Attributes:
        width: Of the canvas as asked for, in pixels.
        height: Likewise.
        background: Colour, ``#rrggbb``.
        background_file: A picture over the whole canvas instead.
        portrait: The drawn avatar, used when there is no ``avatar_file``.
        avatar_file: Picture or video of the avatar.
        box: Centre x, centre y, width and height of the avatar on the canvas, in pixels.
    """

    width: int
    height: int
    background: str
    portrait: Portrait
    box: tuple[float, float, float, float]
    background_file: Path | None = None
    avatar_file: Path | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the small rendering, both even."""
        factor = LONGEST_SIDE / max(self.width, self.height)
        return _even(self.width * factor), _even(self.height * factor)


def draw_portrait(portrait: Portrait, side: int, *, mouth: float = 0.15) -> "Image":
    """Draws a person on a transparent square.

    Args:
        portrait: Who.
        side: Pixels.
        mouth: How far the mouth is open, 0 to 1.
    """
    from PIL import Image, ImageDraw

    number = sum(portrait.name.encode())
    skin, hair = _SKIN[number % len(_SKIN)], _HAIR[number // 3 % len(_HAIR)]
    image = Image.new("RGBA", (side, side), (0, 0, 0, 0))
    pen = ImageDraw.Draw(image)

    def oval(x: float, y: float, width: float, height: float, fill: str) -> None:
        """Draws an ellipse given in shares of the side."""
        box = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
        pen.ellipse([value * side for value in box], fill=fill)

    long_hair = 0.62 if portrait.female else 0.44
    oval(0.5, 0.38 + (long_hair - 0.44) / 3, 0.5, long_hair, hair)
    oval(0.5, 1.08, 0.92, 0.74, portrait.colour)
    pen.rectangle([value * side for value in (0.44, 0.55, 0.56, 0.74)], fill=skin)
    oval(0.5, 0.42, 0.38, 0.46, skin)
    oval(0.5, 0.24, 0.36, 0.16, hair)
    for x in (0.42, 0.58):
        oval(x, 0.4, 0.045, 0.045, "#22252b")
    oval(0.5, 0.54, 0.13, 0.015 + 0.07 * mouth, "#8c2f39")
    return image


def draw_scene(scene: Scene, *, mouth: float = 0.15) -> "Image":
    """Draws canvas, avatar and mark, without a subtitle."""
    from PIL import Image, ImageDraw

    size = scene.size
    image = Image.new("RGB", size, scene.background)
    backdrop = open_picture(scene.background_file)
    if backdrop is not None:
        image.paste(backdrop.resize(size), (0, 0))
    factor = size[0] / scene.width
    x, y, width, height = (value * factor for value in scene.box)
    avatar = _avatar(scene, width, height, mouth)
    corner = (round(x - avatar.width / 2), round(y - avatar.height / 2))
    image.paste(avatar, corner, avatar if avatar.mode == "RGBA" else None)
    _draw_mark(ImageDraw.Draw(image), size)
    return image


def draw_subtitle(image: "Image", text: str) -> None:
    """Writes a text, wrapped, into the lower part of a picture."""
    from PIL import ImageDraw

    if not text:
        return
    width, height = image.size
    shown = _fitting(text, width=width * 0.9, height=height * 0.4, size=max(14, height // 18))
    body = "\n".join(shown.lines)
    pen = ImageDraw.Draw(image, "RGBA")
    middle = (width / 2, height * 0.95)
    box = pen.multiline_textbbox(middle, body, font=shown.font, anchor="md", align="center")
    pen.rectangle((box[0] - 8, box[1] - 5, box[2] + 8, box[3] + 6), fill=(0, 0, 0, 165))
    pen.multiline_text(
        middle, body, font=shown.font, anchor="md", align="center", fill=(255, 255, 255, 255)
    )


def wrap(shown: Drawable, width: float) -> list[str]:
    """Breaks a text into lines: between words, or anywhere in scripts without spaces."""
    lines, line = [], ""
    for piece in _pieces(shown.text):
        if line and shown.font.getlength((line + piece).rstrip()) > width:
            lines.append(line.rstrip())
            line = ""
        line += piece
    return [*lines, line.rstrip()]


def open_picture(path: Path | None) -> "Image | None":
    """Opens a picture, or the first picture of a video; None when it is neither."""
    from PIL import Image, UnidentifiedImageError

    if path is None or not path.exists():
        return None
    try:
        with Image.open(path) as image:
            return image.convert("RGB")
    except (UnidentifiedImageError, OSError):
        return _first_frame(path)


@dataclass(frozen=True, kw_only=True)
class _Fitted:
    lines: Sequence[str]
    font: "FreeTypeFont"


def _fitting(text: str, *, width: float, height: float, size: int) -> _Fitted:
    while True:
        shown = drawable(text, size=size)
        lines = wrap(shown, width)
        if len(lines) * size * 1.25 <= height or size <= 8:
            return _Fitted(lines=lines, font=shown.font)
        size -= 2


def _pieces(text: str) -> list[str]:
    pieces: list[str] = []
    for word in text.split():
        wide = any(ord(char) > 0x2E80 for char in word)
        pieces += [*word[:-1], word[-1] + " "] if wide else [word + " "]
    return pieces


def _avatar(scene: Scene, width: float, height: float, mouth: float) -> "Image":
    picture = open_picture(scene.avatar_file)
    if picture is None:
        return draw_portrait(scene.portrait, max(2, round(min(width, height))), mouth=mouth)
    factor = min(width / picture.width, height / picture.height)
    return picture.resize(
        (max(1, round(picture.width * factor)), max(1, round(picture.height * factor)))
    )


def _first_frame(path: Path) -> "Image | None":
    import av
    from av.error import FFmpegError

    try:
        with av.open(str(path)) as container:
            return next(container.decode(video=0)).to_image()
    except (FFmpegError, IndexError, StopIteration):
        return None


def _draw_mark(pen, size: tuple[int, int]) -> None:
    font = _mark_font(max(9, size[1] // 30))
    width = font.getlength(_MARK)
    pen.rectangle((size[0] - width - 14, 5, size[0] - 5, 9 + font.size * 1.2), fill="#1f2937")
    pen.text((size[0] - 10, 6), _MARK, font=font, fill="#ffffff", anchor="ra")


@cache
def _mark_font(size: int) -> "FreeTypeFont":
    return drawable(_MARK, size=size).font


def _even(pixels: float) -> int:
    return max(2, round(pixels / 2) * 2)
