"""AKOOL's official avatars and voices, as the emulator has them."""

from dataclasses import dataclass
from functools import cache
from typing import Literal

from akool_dagster.emulator.ids import object_id

Gender = Literal["female", "male"]

OFFICIAL_AVATAR = 2
UPLOADED_AVATAR = 3
GENERATED_AVATAR = 7
TALKING = 1
STREAMING = 2

_CATALOG_MADE = 1_700_000_000.0  # fixed, so that record ids are the same in every emulator

# Name, gender. The first avatar is the one of AKOOL's own samples.
_PEOPLE: tuple[tuple[str, Gender], ...] = (
    ("Jane", "female"),
    ("Omar", "male"),
    ("Mei", "female"),
    ("Lukas", "male"),
    ("Amara", "female"),
    ("Diego", "male"),
    ("Priya", "female"),
    ("Kenji", "male"),
    ("Chloe", "female"),
    ("Tomasz", "male"),
    ("Sofia", "female"),
    ("Kwame", "male"),
)
_COLOURS = {
    "Blue": "#2f6fb5",
    "Green": "#3d8a5f",
    "Red": "#b5483f",
    "Grey": "#6b7280",
    "Orange": "#d08a2e",
    "Violet": "#7a5ab8",
    "Teal": "#2b8a8f",
    "Rose": "#c05a80",
}

# avatar_id -> the marker that it always carries
_REHEARSALS = {
    "Rehearsal_refused_1003": "[[video:1003]]",
    "Rehearsal_refused_1006": "[[video:1006]]",
    "Rehearsal_refused_1015_once": "[[video:1015 x1]]",
    "Rehearsal_failed": "[[video:failed]]",
    "Rehearsal_failed_1205": "[[video:failed 1205 create video error]]",
    "Rehearsal_slow": "[[video:slow 3600]]",
    "Rehearsal_stuck": "[[video:stuck]]",
    "Rehearsal_lost_answer": "[[video:lost]]",
}

# Name, gender, language, locale, accent.
_SPEAKERS: tuple[tuple[str, Gender, str, str, str], ...] = (
    ("Emma", "female", "English", "en-US", "American"),
    ("James", "male", "English", "en-US", "American"),
    ("Olivia", "female", "English", "en-GB", "British"),
    ("George", "male", "English", "en-GB", "British"),
    ("Anna", "female", "German", "de-DE", "German"),
    ("Felix", "male", "German", "de-DE", "German"),
    ("Camille", "female", "French", "fr-FR", "French"),
    ("Louis", "male", "French", "fr-FR", "French"),
    ("Lucia", "female", "Spanish", "es-ES", "Castilian"),
    ("Mateo", "male", "Spanish", "es-MX", "Mexican"),
    ("Giulia", "female", "Italian", "it-IT", "Italian"),
    ("Marco", "male", "Italian", "it-IT", "Italian"),
    ("Beatriz", "female", "Portuguese", "pt-BR", "Brazilian"),
    ("Rui", "male", "Portuguese", "pt-PT", "Portuguese"),
    ("Sakura", "female", "Japanese", "ja-JP", "Japanese"),
    ("Haruto", "male", "Japanese", "ja-JP", "Japanese"),
    ("Xiaoli", "female", "Chinese", "zh-CN", "Mandarin"),
    ("Jun", "male", "Chinese", "zh-CN", "Mandarin"),
    ("Asha", "female", "Hindi", "hi-IN", "Hindi"),
    ("Arjun", "male", "Hindi", "hi-IN", "Hindi"),
    ("Sanne", "female", "Dutch", "nl-NL", "Dutch"),
    ("Zofia", "female", "Polish", "pl-PL", "Polish"),
    ("Dmitri", "male", "Russian", "ru-RU", "Russian"),
    ("Elif", "female", "Turkish", "tr-TR", "Turkish"),
    ("Minjun", "male", "Korean", "ko-KR", "Korean"),
    ("Layla", "female", "Arabic", "ar-SA", "Arabic"),
)


@dataclass(frozen=True, kw_only=True)
class Avatar:
    """One official avatar.

    Attributes:
        record_id: ``_id``.
        avatar_id: What creates take.
        name: Display name.
        gender: ``female`` or ``male``.
        colour: Of the clothes in its drawn portrait, as ``#rrggbb``.
        type: 1 talking, 2 streaming.
        marker: The rehearsal marker that it always carries; empty for ordinary avatars.
        status: The documented sample has 1; others omit it (None); some say 3.
        brief: Whether its list item has only the fields of the talking-avatar page's sample.
    """

    record_id: str
    avatar_id: str
    name: str
    gender: Gender
    colour: str
    type: int = TALKING
    marker: str = ""
    status: int | None = None
    brief: bool = False


@dataclass(frozen=True, kw_only=True)
class Voice:
    """One official voice.

    Attributes:
        record_id: ``_id``; creates take it too.
        voice_id: What creates take.
        name: Display name.
        gender: ``female`` or ``male``.
        language: Language name, in English.
        locale: Such as ``en-US``.
        accent: Display text.
    """

    record_id: str
    voice_id: str
    name: str
    gender: Gender
    language: str
    locale: str
    accent: str


@cache
def official_avatars(count: int) -> dict[str, Avatar]:
    """The official avatars by ``avatar_id``.

    ``count`` ordinary ones, the rehearsal ones after the first of them, and two for streaming.
    """
    rehearsals = [
        _avatar(n, avatar_id, avatar_id.replace("_", " "), "female", "#8a8f98", marker=marker)
        for n, (avatar_id, marker) in enumerate(_REHEARSALS.items())
    ]
    ordinary = [_ordinary(n) for n in range(count)]
    streaming = [
        _avatar(n, f"{name}_live", f"{name} live", gender, "#355070", type_=STREAMING)
        for n, (name, gender) in enumerate(_PEOPLE[:2], start=90_000)
    ]
    # The avatar of AKOOL's samples stands first, as people copy the first row.
    avatars = [*ordinary[:1], *rehearsals, *ordinary[1:], *streaming]
    return {avatar.avatar_id: avatar for avatar in avatars}


@cache
def official_voices() -> dict[str, Voice]:
    """The official voices by ``voice_id``, such as ``Emma_en-US``."""
    voices = [
        Voice(
            record_id=object_id(at=_CATALOG_MADE, seed=0, number=n, salt="voice"),
            voice_id=f"{name}_{locale}",
            name=name,
            gender=gender,
            language=language,
            locale=locale,
            accent=accent,
        )
        for n, (name, gender, language, locale, accent) in enumerate(_SPEAKERS)
    ]
    return {voice.voice_id: voice for voice in voices}


def _ordinary(number: int) -> Avatar:
    name, gender = _PEOPLE[number % len(_PEOPLE)]
    colours = list(_COLOURS)
    round_number = number // len(_PEOPLE)
    colour = colours[(number + round_number) % len(colours)]
    # After eight rounds everybody has worn every colour; from then on names get a number.
    suffix = f"_{round_number}" if round_number >= len(colours) else ""
    return _avatar(
        1_000 + number,
        f"{name}_in_{colour}_2024{suffix}",
        f"{name} in {colour}",
        gender,
        _COLOURS[colour],
        status=(1, None, 3)[number % 3],
        brief=number % 4 == 3,
    )


def _avatar(
    number: int,
    avatar_id: str,
    name: str,
    gender: Gender,
    colour: str,
    *,
    type_: int = TALKING,
    marker: str = "",
    status: int | None = None,
    brief: bool = False,
) -> Avatar:
    return Avatar(
        record_id=object_id(at=_CATALOG_MADE, seed=0, number=number, salt="avatar"),
        avatar_id=avatar_id,
        name=name,
        gender=gender,
        colour=colour,
        type=type_,
        marker=marker,
        status=status,
        brief=brief,
    )
