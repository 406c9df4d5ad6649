"""Which language a text is spoken in."""

import unicodedata

# The first word of a character's Unicode name -> the language that is assumed for its script.
_SCRIPT_LANGUAGES = {
    "HIRAGANA": "ja",
    "KATAKANA": "ja",
    "HANGUL": "ko",
    "CJK": "zh",
    "DEVANAGARI": "hi",
    "ARABIC": "ar",
    "CYRILLIC": "ru",
    "GREEK": "el",
    "HEBREW": "he",
    "THAI": "th",
    "BENGALI": "bn",
    "TAMIL": "ta",
    "TELUGU": "te",
    "GEORGIAN": "ka",
    "ARMENIAN": "hy",
}
# Languages that share the script of the table's language.
_SAME_SCRIPT = {
    "zh": {"ja", "yue"},
    "hi": {"mr", "ne"},
    "ar": {"fa", "ur"},
    "ru": {"uk", "bg", "sr", "be", "kk", "mk"},
}
_SAMPLE = 400  # characters looked at


def spoken_language(text: str, *, locale: str = "", language_code: str = "") -> str:
    """The locale or language in which a text is spoken.

    A language given with the request wins; then the text's script, when the voice's language is
    not written in it (AKOOL's voices are multilingual); then the voice's own.

    Args:
        text: What is spoken.
        locale: The voice's, such as ``en-US``.
        language_code: The request's ISO 639-1 code.

    Returns:
        A locale or an ISO 639-1 code in lower case, such as ``en-us`` or ``ja``.
    """
    if language_code:
        return language_code.lower()
    own = locale.lower() or "en-us"
    written = _language_of_script(text)
    language = own.partition("-")[0]
    if written and language != written and language not in _SAME_SCRIPT.get(written, ()):
        return written
    return own


def _language_of_script(text: str) -> str:
    scripts = [_script(char) for char in text[:_SAMPLE] if char.isalpha()]
    known = [_SCRIPT_LANGUAGES[script] for script in scripts if script in _SCRIPT_LANGUAGES]
    if len(known) * 4 < len(scripts) or not known:
        return ""
    # Japanese mixes kana with characters that it shares with Chinese.
    return "ja" if "ja" in known else max(set(known), key=known.count)


def _script(char: str) -> str:
    return unicodedata.name(char, "").partition(" ")[0]
