"""What a single cell may say: links, rates, languages, colours, sizes.

Each reader takes the text of a cell and returns its normal form, or raises `Unfit` with what is
wrong and what to do.
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal
from urllib.parse import urlsplit

PICTURES = ("png", "jpg", "jpeg", "webp")
"""Endings of picture links (docs: talking-avatar page, image formats)."""

AVATARS = (*PICTURES, "mp4", "mov", "avi")
"""Endings of avatar links: pictures and videos (docs: talking-avatar page)."""

SOUNDS = ("mp3", "wav", "m4a", "aac", "ogg", "mp4")
"""Endings of voice links: what AKOOL's own demo lets through, and mp4 as on the VoiceLab page."""

RATES: Mapping[str, tuple[int, int]] = {"v4": (70, 120), "v3": (1, 100)}
"""Allowed rates in percent: v4 takes ``speed`` 0.7 to 1.2 (docs: VoiceLab page), v3 a percentage
up to 100 (docs: audio page)."""

SMALLEST_SIDE, LARGEST_SIDE = 2, 7680
"""Pixels of a video's width and height; both even, as H.264 needs them."""

# ISO 639-1.
_LANGUAGES = """
    aa ab ae af ak am an ar as av ay az ba be bg bi bm bn bo br bs ca ce ch co cr cs cu cv cy da
    de dv dz ee el en eo es et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht hu hy
    hz ia id ie ig ii ik io is it iu ja jv ka kg ki kj kk kl km kn ko kr ks ku kv kw ky la lb lg
    li ln lo lt lu lv mg mh mi mk ml mn mr ms mt my na nb nd ne ng nl nn no nr nv ny oc oj om or
    os pa pi pl ps pt qu rm rn ro ru rw sa sc sd se sg si sk sl sm sn so sq sr ss st su sv sw ta
    te tg th ti tk tl tn to tr ts tt tw ty ug uk ur uz ve vi vo wa wo xh yi yo za zh zu
"""
# What people write instead: English names, three letters, or the code of a country.
_LANGUAGE_SLIPS = {
    "arabic": "ar",
    "bulgarian": "bg",
    "chinese": "zh",
    "cn": "zh",
    "croatian": "hr",
    "cz": "cs",
    "czech": "cs",
    "danish": "da",
    "deu": "de",
    "deutsch": "de",
    "dk": "da",
    "dutch": "nl",
    "eng": "en",
    "english": "en",
    "finnish": "fi",
    "fra": "fr",
    "french": "fr",
    "ger": "de",
    "german": "de",
    "gr": "el",
    "greek": "el",
    "hebrew": "he",
    "hindi": "hi",
    "hungarian": "hu",
    "indonesian": "id",
    "italian": "it",
    "ita": "it",
    "japanese": "ja",
    "jp": "ja",
    "jpn": "ja",
    "korean": "ko",
    "malay": "ms",
    "mandarin": "zh",
    "norwegian": "no",
    "polish": "pl",
    "portuguese": "pt",
    "romanian": "ro",
    "russian": "ru",
    "slovak": "sk",
    "spa": "es",
    "spanish": "es",
    "swedish": "sv",
    "tamil": "ta",
    "thai": "th",
    "turkish": "tr",
    "ua": "uk",
    "uk-ua": "uk",
    "ukrainian": "uk",
    "us": "en",
    "vietnamese": "vi",
}

# What people and programs put between the languages of one cell; a list of JSON has brackets.
_BETWEEN_LANGUAGES = "[\\s,;|/+&\u3001\uff0c\uff1b\"'\\[\\]]+"

_HOST = "[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*"
_VIEWER_FIXES = {  # pages that show a file instead of being it
    r"https?://drive\.google\.com/(file|open)": "use a link that downloads the file itself",
    r"https?://docs\.google\.com/": "use a link that downloads the file itself",
    r"https?://(www\.)?dropbox\.com/.*[?&]dl=0": "write dl=1 in place of dl=0",
    r"https?://((www\.|m\.)?youtube\.com|youtu\.be|vimeo\.com)/": "upload the file itself",
}

VIEWERS = r"drive\.google|docs\.google|dropbox|youtu|vimeo"
"""Links that match it are looked at one by one."""


class Unfit(ValueError):
    """A text that a cell may not hold.

    Attributes:
        message: What is wrong.
        fix: What to do.
    """

    def __init__(self, message: str, fix: str) -> None:
        super().__init__(message, fix)
        self.message = message
        self.fix = fix


@dataclass(frozen=True, slots=True)
class Reading:
    """The normal form of a cell, and whether a person should hear that it was changed."""

    text: str
    repaired: bool = False


Reader = Callable[[str], Reading]


def rate_reader(voice_api: Literal["v4", "v3"]) -> Reader:
    """The reader of a speaking rate: ``95%``, ``95`` or ``0.95`` becomes ``95%``.

    A number up to 2 without a percent sign is a factor. That a factor was read so is a repair.
    """
    lowest, highest = RATES[voice_api]

    def read(text: str) -> Reading:
        fix = f"write a whole percentage from {lowest}% to {highest}%, such as 100%"
        number = re.fullmatch(r"([0-9]{1,4}(?:[.,][0-9]{1,6})?)\s*(%?)", text)
        if not number:
            raise Unfit("the rate is not a percentage", fix)
        amount = Decimal(number[1].replace(",", "."))
        is_factor = not number[2] and amount <= 2
        percent = amount * 100 if is_factor else amount
        if percent != int(percent):
            raise Unfit("the rate is not a whole percentage", fix)
        if not lowest <= percent <= highest:
            raise Unfit(
                f"the rate is {int(percent)}%; AKOOL's voice API {voice_api} speaks at "
                f"{lowest}% to {highest}% of the normal speed",
                fix,
            )
        return Reading(f"{int(percent)}%", is_factor)

    return read


def read_language(text: str) -> Reading:
    """Reads an ISO 639-1 code; a region is dropped, since AKOOL takes the language alone."""
    code = _language_code(text)
    if code is not None:
        return Reading(code, code != text)
    slip = _LANGUAGE_SLIPS.get(text.lower())
    fix = f"write {slip}" if slip else "write two letters, such as en, de, fr, es or ja"
    words = _words(text)
    if len(words) > 1 and all(map(_language_code, words)):
        fix = "write several languages into a column called languages, and one here"
    raise Unfit("the language is not a code of ISO 639-1", fix)


def read_languages(text: str) -> tuple[Sequence[str], Sequence[tuple[str, Unfit]]]:
    """Reads a cell of several languages, however they are set apart.

    Args:
        text: Such as ``de, fr;ja``, or the JSON text of a list.

    Returns:
        The codes, each once, in the order of the cell; and the words that are none.
    """
    codes: dict[str, None] = {}
    faults = []
    if not _words(text):
        faults.append((text, Unfit("the cell names no language", "write for instance de, fr")))
    for word in _words(text):
        try:
            codes[read_language(word).text] = None
        except Unfit as fault:
            faults.append((word, fault))
    return tuple(codes), faults


def is_in_language(words: str, code: str) -> bool:
    """Whether a voice's language, as a catalog words it, is the one of an ISO 639-1 code.

    Args:
        words: Such as ``German``, ``de``, ``de-DE`` or ``Portuguese (Brazil)``.
        code: Two small letters.
    """
    first = re.split(r"[^a-z]+", words.strip().lower())[0]
    return first == code or _LANGUAGE_SLIPS.get(first) == code


def _language_code(text: str) -> str | None:
    parts = re.fullmatch(r"([A-Za-z]{2})([-_][A-Za-z0-9]{2,8})*", text)
    code = parts[1].lower() if parts else ""
    return code if code in _LANGUAGES.split() else None


def _words(text: str) -> list[str]:
    return list(filter(None, re.split(_BETWEEN_LANGUAGES, text)))


def read_background(text: str) -> Reading:
    """Reads a colour, which becomes ``#rrggbb`` in small letters, or a link to a picture."""
    colour = re.fullmatch(r"(#?)([0-9a-fA-F]{6}|[0-9a-fA-F]{3})", text)
    if colour:
        digits = colour[2].lower()
        full = digits if len(digits) == 6 else "".join(digit * 2 for digit in digits)
        return Reading(f"#{full}", not colour[1])
    if "://" not in text:
        raise Unfit(
            "the background is neither a colour nor a link",
            "write a colour such as #ffffff, or the link of a picture",
        )
    return check_link(text, PICTURES)


def read_side(text: str) -> Reading:
    """Reads a width or a height in pixels."""
    fix = f"write an even whole number from {SMALLEST_SIDE} to {LARGEST_SIDE}, such as 1080"
    number = re.fullmatch(r"([0-9]{1,6})(\.0*)?(\s*px)?", text)
    if not number:
        raise Unfit("the size is not a number of pixels", fix)
    pixels = int(number[1])
    if not SMALLEST_SIDE <= pixels <= LARGEST_SIDE:
        raise Unfit(f"{pixels} pixels are outside {SMALLEST_SIDE} to {LARGEST_SIDE}", fix)
    if pixels % 2:
        raise Unfit(f"{pixels} is odd; video sizes are even", f"write {pixels - 1 or 2}")
    return Reading(str(pixels), str(pixels) != text)


def plain_link_pattern(endings: Collection[str]) -> str:
    """A pattern of plain links, for a first look at a whole column at once.

    A link that matches it, and not `VIEWERS`, is good; of any other `check_link` decides. The
    pattern uses only what Python's and Arrow's regular expressions have in common.
    """
    file = f"[^\\s?#\\\\@./]*|[^\\s?#\\\\@/]*\\.({'|'.join(endings)})"
    path = f"/([^\\s?#\\\\@]*/)?({file})"
    return f"https?://{_HOST}(:[0-9]{{1,4}})?({path}(\\?[^\\s\\\\#]*)?)?"


def check_link(link: str, endings: Collection[str]) -> Reading:
    """Checks a link that AKOOL is to fetch, and returns it as it is.

    Args:
        link: The text of the cell.
        endings: File endings that are allowed, if the link shows one.

    Raises:
        Unfit: It is no http(s) link, holds blanks or a password, or ends wrongly.
    """
    if re.search(r"\s", link):
        raise Unfit("the link holds a space or a line break", "give one link, with %20 for a space")
    try:
        parts = urlsplit(link)
        host = parts.hostname
        _ = parts.port  # raises if it is no port number
    except ValueError as error:
        raise Unfit(f"the link cannot be read: {error}", "copy it again, whole") from error
    if parts.username is not None:
        raise Unfit(
            "the link carries a user name or password, which AKOOL would see and the ledger keep",
            "use a link without them, for instance a signed one",
        )
    if parts.scheme not in ("http", "https") or not link[len(parts.scheme) :].startswith("://"):
        raise _wrong_scheme(link)
    if (
        not host
        or not re.fullmatch(r"[^\s\\<>\"{}|^`]+", host)
        or "" in host.rstrip(".").split(".")
    ):
        raise Unfit("the link has no valid host", "write it whole: https://host/path")
    if "\\" in link:
        raise Unfit("the link holds a backslash", "write / in place of \\")
    for viewer, fix in _VIEWER_FIXES.items():
        if re.match(viewer, link, re.IGNORECASE):
            raise Unfit("the link opens a page that shows the file, not the file", fix)
    ending = re.search(r"\.([^./]+)$", parts.path)
    if ending and ending[1].lower() not in endings:
        raise Unfit(
            f"the link ends in .{ending[1]}, which AKOOL does not take here",
            f"give a link to a file of the kind {', '.join(f'.{e}' for e in endings)}",
        )
    return Reading(link)


def _wrong_scheme(link: str) -> Unfit:
    if re.match(r"(https?:/*|//|www\.|[a-z0-9-]+(\.[a-z0-9-]+)+(/|$))", link, re.IGNORECASE):
        return Unfit("the link does not begin with http:// or https://", "begin it with https://")
    return Unfit(
        "this is no link that AKOOL can fetch: it reads http and https only",
        "upload the file and give its public or signed https link",
    )
