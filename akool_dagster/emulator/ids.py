"""Ids in AKOOL's forms, drawn from the emulator's seed."""

import hashlib
import random


def object_id(*, at: float, seed: int, number: int, salt: str = "") -> str:
    """A 24-hex id as ``_id`` has it; its first 4 bytes are the second of creation.

    Args:
        at: Virtual epoch seconds.
        seed: The emulator's seed.
        number: Running number, unique together with ``salt``.
        salt: Keeps different families of ids apart.
    """
    return f"{int(at) & 0xFFFFFFFF:08x}{_digest(f'{seed}:{salt}:{number}', 8)}"


def dashed_id(text: str) -> str:
    """A UUID-like id, as ``video_id`` has it, decided by ``text``."""
    raw = _digest(text, 16)
    return f"{raw[:8]}-{raw[8:12]}-4{raw[13:16]}-a{raw[17:20]}-{raw[20:]}"


def seeded(*parts: object) -> random.Random:
    """A random generator that is decided by its parts alone."""
    return random.Random(":".join(map(str, parts)))


def _digest(text: str, size: int) -> str:
    return hashlib.blake2b(text.encode(), digest_size=size).hexdigest()
