"""The obvious Dagster project: three partitioned assets, a partition per row, a run per partition.

It asks, waits and saves as a person new to Dagster would write it, with Dagster's defaults. Like
the plain scripts it may pay twice.
"""

import os
import time
from pathlib import Path

import dagster as dg
import requests

rows = dg.DynamicPartitionsDefinition(name="rows")
POLL_SECONDS = 5.0


def _call(method: str, path: str, **options: object) -> dict:
    answer = requests.request(
        method,
        os.environ["AKOOL_BASE_URL"] + path,
        headers={"x-api-key": os.environ["AKOOL_API_KEY"]},
        timeout=60,
        **options,  # type: ignore[arg-type]
    ).json()
    if answer["code"] != 1000:
        raise RuntimeError(str(answer))
    return answer["data"]


def _wait(path: str, status: str) -> dict:
    while True:
        data = _call("GET", path)
        data = data.get("result", data)
        if data[status] == 3:
            return data
        time.sleep(POLL_SECONDS)


@dg.asset(partitions_def=rows)
def voice(context: dg.AssetExecutionContext) -> str:
    """The link to a row's speech."""
    body = {"input_text": f"This is {context.partition_key}.", "voice_id": "Emma_en-US"}
    made = _call("POST", "/api/open/v4/voice/tts", json=body)
    return str(_wait(f"/api/open/v4/voice/resource/detail/{made['_id']}", "status")["preview"])


@dg.asset(partitions_def=rows)
def video(voice: str) -> str:
    """The link to a row's video."""
    scene = {
        "width": 3840,
        "height": 2160,
        "avatar_from": 2,
        "elements": [
            {
                "type": "avatar", "avatar_id": "Jane_in_Blue_2024", "width": 2160, "height": 2160,
                "scale_x": 1, "scale_y": 1, "offset_x": 1920, "offset_y": 1080,
            },
            {"type": "audio", "url": voice},
        ],
    }  # fmt: skip
    made = _call("POST", "/api/open/v3/talkingavatar/create", json=scene)
    path = f"/api/open/v3/content/video/infobymodelid?video_model_id={made['_id']}"
    return str(_wait(path, "video_status")["video"])


@dg.asset(partitions_def=rows)
def file(context: dg.AssetExecutionContext, video: str) -> None:
    """A row's video on disk."""
    answer = requests.get(video, timeout=60)
    answer.raise_for_status()
    folder = Path(os.environ["AKOOL_DATA"])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{context.partition_key}.mp4").write_bytes(answer.content)


defs = dg.Definitions(assets=[voice, video, file])
