"""Text to speech for the emulator's voices, with eSpeak NG, or tones where that is missing.

eSpeak NG comes as a library inside the wheel ``espeakng-loader`` (the extra ``emulator``). It
speaks about a thousand times faster than real time. Its Japanese knows kana only and reads
Chinese characters as such; its voices sound like robots, as they should in an emulator.
"""

import ctypes
import importlib
import logging
import threading
import zlib
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from akool_dagster.emulator.media.languages import spoken_language

if TYPE_CHECKING:
    import numpy as np

_log = logging.getLogger(__name__)

_SHORTEST = 1.0  # seconds: below this, codec frames would be a large share of the length
_WORDS_PER_MINUTE = 165
_SLOWEST, _FASTEST = 80, 450  # words per minute that eSpeak NG can do
_TONE_RATE = 22_050

# espeak-ng/speak_lib.h
_AUDIO_OUTPUT_SYNCHRONOUS = 2
_INITIALIZE_DONT_EXIT = 0x8000
_CHARS_UTF8 = 1
_PARAMETER_RATE, _PARAMETER_PITCH = 1, 3
_CALLBACK = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
)

# The language files of eSpeak NG where they are not named like the locale.
_ESPEAK_NAMES = {"zh": "cmn", "en-gb": "en-gb-x-rp", "no": "nb", "es-mx": "es-419", "tl": "id"}

# Variants without flutter. With the others a text is never twice equally long, since the flutter
# goes on where the last text stopped; but media must keep its length whenever it is made again.
_WOMEN = ("shelby",)
_MEN = ("Denis", "Andy", "Hugo", "miguel", "Diogo")

# eSpeak NG is one per process and takes one text at a time; to begin it twice at once breaks the
# memory of the process.
_lock = threading.Lock()


@dataclass(frozen=True, kw_only=True)
class Speech:
    """What is to be said, and how.

    Attributes:
        text: Without markers.
        locale: Of the voice, such as ``de-DE``.
        language_code: Asked for by the request; wins over ``locale``.
        female: Whether a woman speaks.
        timbre: Any name: voices of different names differ in pitch.
        rate: 1.0 is normal speed, 0.5 half of it. eSpeak NG does 0.48 to 2.7 and is held there.
    """

    text: str
    locale: str = "en-US"
    language_code: str = ""
    female: bool = True
    timbre: str = ""
    rate: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Sound:
    """Mono audio.

    Attributes:
        samples: int16, one dimension.
        rate: Samples per second.
    """

    samples: "np.ndarray"
    rate: int

    @property
    def seconds(self) -> float:
        """Its length."""
        return len(self.samples) / self.rate


def speak(speech: Speech) -> Sound:
    """Says a text; the same text in the same voice is always equally long.

    Blocks for about a millisecond per second of speech; call it outside of an event loop.
    """
    engine = _engine()
    sound = engine.say(speech) if engine else _tones(speech)
    if sound is None or not len(sound.samples):
        sound = _tones(speech)
    return _at_least(sound, _SHORTEST)


def can_speak() -> bool:
    """Whether eSpeak NG is there; otherwise `speak` makes tones."""
    return _engine() is not None


class _Engine:
    def __init__(self, library: ctypes.CDLL, data_path: str) -> None:
        self._library = library
        self._chunks: list[bytes] = []
        # Kept here, as ctypes does not keep it alive for the library.
        self._callback = _CALLBACK(self._collect)
        self.rate = library.espeak_Initialize(
            _AUDIO_OUTPUT_SYNCHRONOUS, 0, data_path.encode(), _INITIALIZE_DONT_EXIT
        )
        if self.rate <= 0:
            raise OSError("eSpeak NG did not initialize")
        library.espeak_SetSynthCallback(self._callback)

    def say(self, speech: Speech) -> Sound | None:
        """Synthesizes; None when eSpeak NG has no voice for the language."""
        import numpy as np

        with _lock:
            if not self._choose_voice(speech):
                return None
            text = speech.text.encode()
            self._chunks.clear()
            self._library.espeak_Synth(text, len(text) + 1, 0, 1, 0, _CHARS_UTF8, None, None)
            samples = np.frombuffer(b"".join(self._chunks), dtype=np.int16)
        return Sound(samples=samples, rate=self.rate)

    def _choose_voice(self, speech: Speech) -> bool:
        language = spoken_language(
            speech.text, locale=speech.locale, language_code=speech.language_code
        )
        number = zlib.crc32(speech.timbre.encode())
        variants = _WOMEN if speech.female else _MEN
        variant = variants[number % len(variants)]
        names = (language, language.partition("-")[0])
        for name in (_ESPEAK_NAMES.get(name, name) for name in names):
            if self._library.espeak_SetVoiceByName(f"{name}+{variant}".encode()) == 0:
                break
        else:
            return False
        words = min(max(round(_WORDS_PER_MINUTE * speech.rate), _SLOWEST), _FASTEST)
        self._library.espeak_SetParameter(_PARAMETER_RATE, words, 0)
        self._library.espeak_SetParameter(_PARAMETER_PITCH, 40 + number % 25, 0)
        return True

    def _collect(self, samples: "ctypes._Pointer", count: int, _events: int | None) -> int:
        if samples and count > 0:
            self._chunks.append(ctypes.string_at(samples, count * 2))
        return 0


def _engine() -> _Engine | None:
    with _lock:
        return _begun_engine()


@cache
def _begun_engine() -> _Engine | None:
    try:
        loader = importlib.import_module("espeakng_loader")
        return _Engine(ctypes.CDLL(loader.get_library_path()), loader.get_data_path())
    except (ImportError, OSError) as error:
        _log.warning(
            "The emulator's voices are tones, because eSpeak NG cannot be loaded (%s); "
            "install the extra: pip install 'akool-dagster[emulator]'.",
            error,
        )
        return None


def _tones(speech: Speech) -> Sound:
    """A short tone per character, about as long as speech would be."""
    import numpy as np

    each = 0.07 / min(max(speech.rate, 0.48), 2.7)
    notes = np.array([_note(char, female=speech.female) for char in speech.text] or [0.0])
    size = int(each * _TONE_RATE) or 1
    time = np.arange(size) / _TONE_RATE
    fade = np.minimum(1.0, np.minimum(np.arange(size), np.arange(size)[::-1]) / 60)
    waves = np.sin(2 * np.pi * notes[:, None] * time) * fade * 6_000
    return Sound(samples=waves.astype(np.int16).ravel(), rate=_TONE_RATE)


def _note(char: str, *, female: bool) -> float:
    if not char.isalnum():
        return 0.0
    return (330.0 if female else 165.0) * 2 ** ((ord(char) % 12) / 12)


def _at_least(sound: Sound, seconds: float) -> Sound:
    import numpy as np

    missing = int(seconds * sound.rate) - len(sound.samples)
    if missing <= 0:
        return sound
    return Sound(samples=np.pad(sound.samples, (0, missing)), rate=sound.rate)
