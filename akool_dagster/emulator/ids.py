"""Ids in AKOOL's forms, drawn from the emulator's seed."""

import hashlib
import random


def object_id(*, at: float, seed: int, number: int, salt: str = "") -> str:
    """A 24-hex id as ``_id`` has it: 8 digits of time, 16 that are the same in each replay.

    Args:
        at: Epoch seconds, told by the first 4 bytes.
        seed: The emulator's seed.
        number: Running number, unique together with ``salt``.
        salt: Keeps different families of ids apart.
    """
    return f"{int(at) & 0xFFFFFFFF:08x}{_digest(f'{seed}:{salt}:{number}', 8)}"


def dashed_id(text: str) -> str:
    """A UUID-like id, as ``video_id`` has it, decided by ``text``."""
    raw = _digest(text, 16)
    return f"{raw[:8]}-{raw[8:12]}-4{raw[13:16]}-a{raw[17:20]}-{raw[20:]}"


def replayed_part(job_id: str) -> str:
    """The digits of an ``_id`` that the seed and the content decide, without those of the time."""
    return job_id[8:]


def further_ids(kind: str, job_id: str) -> dict[str, str]:
    """The other ids that AKOOL gives to a job besides its ``_id``, decided by that.

    Args:
        kind: ``video``, ``voice``, ``clone`` or ``avatar``.
        job_id: ``_id``.
    """
    if kind == "video":
        task_id = f"{job_id[:8]}{_digest(f'task:{job_id}', 8)}"
        return {"video_id": dashed_id(job_id), "task_id": task_id}
    return {"voice_id": _digest(f"voice:{job_id}", 18)} if kind == "clone" else {}


def seeded(*parts: object) -> random.Random:
    """A random generator that is decided by its parts alone."""
    return random.Random(":".join(map(str, parts)))


def _digest(text: str, size: int) -> str:
    return hashlib.blake2b(text.encode(), digest_size=size).hexdigest()
