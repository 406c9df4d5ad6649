"""What people write before they have heard of this project: two plain scripts.

Both send each create once and keep nothing but the files: a lost answer, a crash or a second start
pays again. They are here for their speed alone.

``python -m benchmarks.plain_scripts --rows 10 --threads 1 --to FOLDER`` makes videos one after the
other; with more threads a pool makes them, each of which polls every 5 seconds for its own video.
``AKOOL_BASE_URL`` and ``AKOOL_API_KEY`` tell where.
"""

import argparse
import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import requests

POLL_SECONDS = 5.0


def row_texts(rows: int) -> list[tuple[str, str]]:
    """The rows that every design is measured with.

    Args:
        rows: How many.

    Returns:
        Name and text of each.
    """
    return [(f"row-{number}", f"This is row-{number}.") for number in range(rows)]


def one_after_the_other(rows: Sequence[tuple[str, str]], *, url: str, key: str, to: Path) -> None:
    """Makes a video, waits for it, saves it, and goes on with the next.

    Args:
        rows: Name and text of each.
        url: Root of the API.
        key: Of the API.
        to: Folder for the files.
    """
    for name, text in rows:
        _make(name, text, url=url, key=key, to=to)


def many_at_once(
    rows: Sequence[tuple[str, str]], *, threads: int, url: str, key: str, to: Path
) -> None:
    """Does the same with a pool of threads, each of which waits for its own video.

    Args:
        rows: Name and text of each.
        threads: As many as AKOOL has slots.
        url: Root of the API.
        key: Of the API.
        to: Folder for the files.
    """
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda row: _make(*row, url=url, key=key, to=to), rows))


def _make(name: str, text: str, *, url: str, key: str, to: Path) -> None:
    with requests.Session() as session:
        # A server closes an idle connection after about as long as the pause between two polls.
        session.headers.update({"x-api-key": key, "Connection": "close"})
        speech = {"input_text": text, "voice_id": "Emma_en-US"}
        voice = _post(session, f"{url}/api/open/v4/voice/tts", speech)
        audio = _wait(session, f"{url}/api/open/v4/voice/resource/detail/{voice['_id']}", "status")
        video = _post(
            session, f"{url}/api/open/v3/talkingavatar/create", _scene(str(audio["preview"]))
        )
        seen = _wait(
            session,
            f"{url}/api/open/v3/content/video/infobymodelid?video_model_id={video['_id']}",
            "video_status",
        )
        answer = session.get(seen["video"], timeout=60)
        answer.raise_for_status()
        (to / f"{name}.mp4").write_bytes(answer.content)


def _scene(audio: str) -> dict[str, Any]:
    size = {"width": 3840, "height": 2160}
    place = {"scale_x": 1, "scale_y": 1, "offset_x": 1920, "offset_y": 1080}
    avatar = {"type": "avatar", "avatar_id": "Jane_in_Blue_2024", "width": 2160, "height": 2160}
    return {
        **size,
        "avatar_from": 2,
        "elements": [{**avatar, **place}, {"type": "audio", "url": audio}],
    }


def _post(session: requests.Session, url: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = session.post(url, json=body, timeout=60).json()
    if answer["code"] != 1000:
        raise RuntimeError(f"{url}: {answer}")
    return answer["data"]


def _wait(session: requests.Session, url: str, status: str) -> dict[str, Any]:
    while True:
        data = session.get(url, timeout=60).json()["data"]
        data = data.get("result", data)
        if data[status] == 3:
            return data
        if data[status] == 4:
            raise RuntimeError(f"{url}: failed")
        time.sleep(POLL_SECONDS)


def main() -> None:
    """Makes the videos."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--to", type=Path, required=True, help="folder for the files")
    chosen = parser.parse_args()
    rows = row_texts(chosen.rows)
    place = {"url": os.environ["AKOOL_BASE_URL"], "key": os.environ["AKOOL_API_KEY"]}
    if chosen.threads == 1:
        one_after_the_other(rows, to=chosen.to, **place)
    else:
        many_at_once(rows, threads=chosen.threads, to=chosen.to, **place)


if __name__ == "__main__":
    main()
