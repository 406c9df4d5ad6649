import io

import pytest
import requests
from PIL import Image

from akool_dagster_tests.emulator.api import WAIT, Api

UPLOAD = {"url": "https://media.example/me.mp4", "avatar_id": "Presenter01", "type": 1}


def listed(api: Api, **query: object) -> list[dict]:
    data = api.get("/v3/avatar/list", **query)["data"]
    return data if isinstance(data, list) else data["result"]


def test_both_list_shapes_hold_the_same_rows(start) -> None:
    api: Api = start()
    inside = api.get("/v3/avatar/list", size=5)["data"]
    api.akool.emulator.configure(shapes={"lists": "array"})
    bare = api.get("/v3/avatar/list", size=5)["data"]
    assert isinstance(bare, list)
    assert inside["result"] == bare
    assert (inside["page"], inside["size"]) == (1, 5)
    assert inside["count"] > 5


def test_pages_cover_the_list_once(steady: Api) -> None:
    whole = [item["avatar_id"] for item in listed(steady)]
    pages = [listed(steady, page=page, size=10) for page in range(1, 6)]
    assert [item["avatar_id"] for page in pages for item in page] == whole
    assert len(set(whole)) == len(whole) > 20
    assert pages[-1] == []


def test_filters_by_source_and_type(steady: Api) -> None:
    assert {item["from"] for item in listed(steady, **{"from": 2})} == {2}
    streaming = listed(steady, type=2)
    assert streaming
    assert {item.get("type") for item in streaming} == {2}
    assert listed(steady, **{"from": 7}) == []
    assert steady.get("/v3/avatar/list", **{"from": 9})["code"] == 1003


def test_fields_are_as_uneven_as_in_the_documented_samples(steady: Api) -> None:
    rows = listed(steady, type=1)
    assert {row.get("status") for row in rows} == {None, 1, 3}
    assert any("_id" not in row for row in rows)
    assert all({"avatar_id", "name", "url", "gender", "from"} <= set(row) for row in rows)


def test_the_pictures_of_avatars_are_served(steady: Api) -> None:
    answer = requests.get(listed(steady)[0]["thumbnailUrl"], timeout=WAIT)
    assert answer.headers["content-type"] == "image/png"
    with Image.open(io.BytesIO(answer.content)) as image:
        assert image.size == (512, 512)


def test_detail_takes_the_record_id_in_both_shapes(start) -> None:
    api: Api = start()
    row = listed(api)[0]
    one = api.get("/v3/avatar/detail", id=row["_id"])["data"]
    assert (one["name"], one["from"]) == (row["name"], 2)
    api.akool.emulator.configure(shapes={"details": "array"})
    assert api.get("/v3/avatar/detail", id=row["_id"])["data"] == [one]
    assert api.get("/v3/avatar/detail", id=row["avatar_id"])["code"] == 1008


def test_an_upload_is_queued_worked_on_listed_and_then_usable(api: Api) -> None:
    made = api.post("/v3/avatar/create", UPLOAD)["data"]
    assert (made["status"], made["from"], made["avatar_id"]) == (1, 3, "Presenter01")
    assert api.video(avatar_id="Presenter01", avatar_from=3)["code"] == 1014
    api.akool.emulator.clock.advance(2)
    assert api.get("/v3/avatar/detail", id=made["_id"])["data"]["status"] == 2
    api.akool.emulator.clock.advance(100)
    assert api.get("/v3/avatar/detail", id=made["_id"])["data"]["status"] == 3
    assert [row["avatar_id"] for row in listed(api, **{"from": 3})] == ["Presenter01"]
    assert api.video(avatar_id="Presenter01", avatar_from=3)["code"] == 1000


def test_a_used_avatar_id_is_1222(api: Api) -> None:
    assert api.post("/v3/avatar/create", UPLOAD)["code"] == 1000
    assert api.post("/v3/avatar/create", UPLOAD)["code"] == 1222
    assert api.akool.emulator.stats().accepted["avatar"] == 1
    assert api.akool.emulator.stats().received["avatar"] == 2


@pytest.mark.parametrize(
    "change",
    [{"avatar_id": "has_underscore"}, {"avatar_id": ""}, {"url": ""}, {"type": 3}, {"url_from": 5}],
)
def test_bad_uploads_are_1003(steady: Api, change: dict) -> None:
    assert steady.post("/v3/avatar/create", UPLOAD | change)["code"] == 1003


def test_type_may_be_a_string(api: Api) -> None:
    assert api.post("/v3/avatar/create", UPLOAD | {"type": "1"})["code"] == 1000


def test_an_upload_can_be_rehearsed_to_fail(api: Api) -> None:
    body = UPLOAD | {"url": "https://media.example/me.mp4?[[avatar:failed]]"}
    record = api.post("/v3/avatar/create", body)["data"]["_id"]
    api.akool.emulator.clock.advance(1000)
    assert api.get("/v3/avatar/detail", id=record)["data"]["status"] == 4
