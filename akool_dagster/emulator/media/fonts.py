"""Finds a font that can draw a text, on any machine."""

import platform
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont

_FOLDERS = {
    "Linux": ("/usr/share/fonts", "/usr/local/share/fonts", "~/.local/share/fonts", "~/.fonts"),
    "Darwin": ("/System/Library/Fonts", "/Library/Fonts", "~/Library/Fonts"),
    "Windows": ("C:/Windows/Fonts",),
}

# In the order in which they are tried: broad Latin first, then one or two for each large script.
_KNOWN = (
    "dejavusans.",
    "notosans-regular",
    "liberationsans-regular",
    "segoeui.",
    "arial.",
    "notosanscjk-regular",
    "notosanscjkjp",
    "notosansjp",
    "notosanssc",
    "notosanskr",
    "notoserifcjk-regular",
    "droidsansfallback",
    "wqy-",
    "ipag",
    "vl-gothic",
    "takao",
    "fonts-japanese-gothic",
    "nanumgothic.",
    "unbatang",
    "pingfang",
    "hiragino sans gb",
    "hiraginosans",
    "applesdgothicneo",
    "stheiti",
    "arial unicode",
    "msyh",
    "meiryo",
    "yugoth",
    "malgun.",
    "notosansdevanagari-regular",
    "lohit-devanagari",
    "nirmala",
    "kohinoor",
    "devanagari",
    "notosansarabic-regular",
    "notosansthai-regular",
    "unifont",
)


@dataclass(frozen=True, kw_only=True)
class Drawable:
    """A text as it can be drawn on this machine.

    Attributes:
        text: The text, or a note that it cannot be drawn.
        font: For it.
    """

    text: str
    font: "FreeTypeFont"


def drawable(text: str, *, size: int) -> Drawable:
    """Chooses a font that has every character of a text.

    Signs without a letter's meaning (emoji, say) that no font has are left out. When a script has
    no font at all, a note that says so takes the place of the text.

    Args:
        text: What is to be drawn.
        size: Pixels.
    """
    plain = _font("", size)
    for path in ("", *_font_files()):
        font = _font(path, size)
        if not _missing(path, text):
            return Drawable(text=text, font=font)
    best = min(("", *_font_files()), key=lambda path: len(_missing(path, text)))
    letters = {char for char in _missing(best, text) if unicodedata.category(char)[0] in "LM"}
    if letters:
        return Drawable(text=_note(letters), font=plain)
    kept = "".join(char for char in text if char not in _missing(best, text))
    return Drawable(text=kept, font=_font(best, size))


def _note(letters: Iterable[str]) -> str:
    scripts = sorted({unicodedata.name(char, "?").split()[0] for char in letters})
    return f"[no font for {', '.join(scripts)} on this machine]"


@cache
def _font(path: str, size: int) -> "FreeTypeFont":
    from PIL import ImageFont

    if path:
        return ImageFont.truetype(path, size)
    return ImageFont.load_default(size)  # type: ignore[return-value]


@cache
def _font_files() -> tuple[str, ...]:
    folders = (Path(name).expanduser() for name in _FOLDERS.get(platform.system(), ()))
    files = [
        path
        for folder in folders
        if folder.is_dir()
        for path in sorted(folder.rglob("*"))
        if path.suffix.lower() in (".ttf", ".otf", ".ttc")
    ]
    return tuple(
        str(path) for known in _KNOWN for path in files if path.name.lower().startswith(known)
    )


@cache
def _missing_sign(path: str) -> bytes:
    return _shape(path, "\U0010ffff")


def _shape(path: str, char: str) -> bytes:
    from PIL import Image, ImageDraw

    image = Image.new("L", (40, 40))
    ImageDraw.Draw(image).text((4, 4), char, font=_font(path, 20), fill=255)
    return image.tobytes()


@cache
def _has(path: str, char: str) -> bool:
    return _shape(path, char) != _missing_sign(path)


def _missing(path: str, text: str) -> set[str]:
    return {
        char
        for char in set(text)
        if not char.isspace() and unicodedata.category(char) != "Cf" and not _has(path, char)
    }
