"""A bare HTTP client for the emulator's tests, written from AKOOL's documentation."""

from typing import Any

import requests

from akool_dagster.emulator import RunningEmulator

OPEN = "/api/open"
WAIT = (5, 20)


class Api:
    def __init__(self, akool: RunningEmulator, **headers: str) -> None:
        self.akool = akool
        self.headers = headers or {"x-api-key": akool.api_key}

    def raw(self, method: str, path: str, **options: Any) -> requests.Response:
        options.setdefault("headers", self.headers)
        return requests.request(method, self.akool.url + path, timeout=WAIT, **options)

    def get(self, path: str, **query: Any) -> dict[str, Any]:
        answer = self.raw("GET", OPEN + path, params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, path: str, body: Any) -> dict[str, Any]:
        answer = self.raw("POST", OPEN + path, json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def credits(self) -> float:
        return self.get("/v3/faceswap/quota/info")["data"]["credit"]

    def tts(self, text: str = "Hello.", voice_id: str = "Emma_en-US", **fields: Any) -> dict:
        return self.post("/v4/voice/tts", {"input_text": text, "voice_id": voice_id, **fields})

    def audio_link(self, text: str = "Hello.", **fields: Any) -> str:
        job_id = self.tts(text, **fields)["data"]["_id"]
        self.akool.emulator.clock.advance(3600)
        link = self.get(f"/v4/voice/resource/detail/{job_id}")["data"]["result"]["preview"]
        assert link
        return link

    def video(self, **changes: Any) -> dict[str, Any]:
        return self.post("/v3/talkingavatar/create", talking(**changes))

    def video_id(self, **changes: Any) -> str:
        answer = self.video(**changes)
        assert answer["code"] == 1000, answer
        return answer["data"]["_id"]

    def info(self, video_id: str) -> dict[str, Any]:
        answer = self.get("/v3/content/video/infobymodelid", video_model_id=video_id)
        assert answer["code"] == 1000, answer
        return answer["data"]

    def finished(self, video_id: str) -> dict[str, Any]:
        self.akool.emulator.clock.advance(20_000)
        return self.info(video_id)


def talking(
    *,
    text: str = "Hello.",
    voice_id: str = "Emma_en-US",
    audio: str = "",
    avatar_id: str = "Jane_in_Blue_2024",
    avatar_url: str = "",
    **changes: Any,
) -> dict[str, Any]:
    """The body of a talkingavatar/create, as AKOOL's page shows it."""
    sound = {"url": audio} if audio else {"input_text": text, "voice_id": voice_id}
    who = {"url": avatar_url} if avatar_url else {"avatar_id": avatar_id}
    place = {"scale_x": 1, "scale_y": 1, "offset_x": 1920, "offset_y": 1080}
    return {
        "width": 3840,
        "height": 2160,
        "avatar_from": 3 if avatar_url else 2,
        "elements": [
            {"type": "image", "url": "#ffffff", "width": 3840, "height": 2160, **place},
            {"type": "avatar", "width": 1080, "height": 1080, **who, **place},
            {"type": "audio", **sound},
        ],
        **changes,
    }
