import csv
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from upath import UPath

from akool_dagster.manifest import ManifestError
from akool_dagster.manifest.avatars_file import OwnAvatar, read_avatars

HEADER = "avatar_id,name,url,type,url_from\n"
CLIP = "https://media.example/kim.mp4"
TUBE = "https://youtu.be/abc123"


def read(folder: Path, text: str) -> tuple[OwnAvatar, ...]:
    path = folder / "avatars.csv"
    path.write_text(text, encoding="utf-8")
    return read_avatars(path).avatars


def test_every_spelling_of_a_good_row_means_the_same(tmp_path: Path) -> None:
    (kim, lee, moe) = read(
        tmp_path,
        "\ufeffAvatar ID;Name; URL ;TYPE;url from;note\n"
        f"Kim01;Kim;{CLIP};Real;1.0;mine\n"
        f"Lee02;;{TUBE};2;YouTube;\n"
        f"Moe03;;{TUBE};;;\n",
    )
    assert (kim.avatar_id, kim.name, kim.url, kim.line) == ("Kim01", "Kim", CLIP, 2)
    assert (kim.is_streaming, kim.is_platform_link) == (False, False)
    assert (lee.name, lee.is_streaming, lee.is_platform_link) == ("Lee02", True, True)
    assert (moe.is_streaming, moe.is_platform_link) == (False, True)


def test_what_was_guessed_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "avatars.csv"
    path.write_text(f"avatar_id,url\nKim01,{TUBE}\n")
    (repair,) = read_avatars(path).repairs
    assert (repair.column, repair.line) == ("url_from", 2)
    assert TUBE in repair.what


@pytest.mark.parametrize(
    ("row", "column", "message", "fix"),
    [
        (f"Kim_01,,{CLIP},,", "avatar_id", "letters A-Z and digits only", "write Kim01"),
        (f"é,,{CLIP},,", "avatar_id", "letters A-Z and digits only", "such as Presenter01"),
        (f",Kim,{CLIP},,", "avatar_id", "no avatar_id", "Presenter01"),
        (f"{'a' * 65},,{CLIP},,", "avatar_id", "65 characters", "write aaa"),
        (f"Kim01,{'x' * 101},{CLIP},,", "name", "101 characters", "shorten"),
        ("Kim01,,,,", "url", "no link", "link of a video"),
        ("Kim01,,ftp://host/a.mp4,,", "url", "no link that AKOOL can fetch", "https"),
        ("Kim01,,https://media.example/a.png,,", "url", "ends in .png", ".mp4"),
        ("Kim01,,https://kim:pw@media.example/a.mp4,,", "url", "user name or password", "signed"),
        (f"Kim01,,{TUBE},,1", "url", "leads to a platform", "write 2 in url_from"),
        (f"Kim01,,{CLIP},,2", "url", "none of YouTube", "write 1 in url_from"),
        ("Kim01,,https://notyoutube.com/x,,2", "url", "none of YouTube", "write 1"),
        (f"Kim01,,{CLIP},3,", "type", "none of the words", "1 for real or 2 for stream"),
        (f"Kim01,,{CLIP},,myspace", "url_from", "none of the words", "1 for direct"),
    ],
)
def test_each_fault_is_told_with_place_and_fix(
    tmp_path: Path, row: str, column: str, message: str, fix: str
) -> None:
    with pytest.raises(ManifestError) as caught:
        read(tmp_path, f"{HEADER}Good1,,{CLIP},,\n{row}\n")
    (problem,) = caught.value.problems
    assert (problem.line, problem.column) == (3, column)
    assert message in problem.message
    assert fix in problem.fix
    assert "pw" not in str(caught.value)


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(ManifestError) as caught:
        read(tmp_path, f"{HEADER}a_b,,x,9,9\nTwin,,{CLIP},,\nTwin,,{CLIP},,\n")
    told = [(problem.line, problem.column) for problem in caught.value.problems]
    assert sorted(told) == [
        (2, "avatar_id"), (2, "type"), (2, "url"), (2, "url_from"), (4, "avatar_id"),
    ]  # fmt: skip
    assert "taken by line 3" in str(caught.value)


def test_a_missing_or_misspelt_column_is_told(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="the required column url is missing"):
        read(tmp_path, "avatar_id,name\nKim01,Kim\n")
    with pytest.raises(ManifestError, match='column "typ" is not known'):
        read(tmp_path, f"avatar_id,url,typ\nKim01,{CLIP},2\n")
    with pytest.raises(ManifestError, match="no such file"):
        read_avatars(tmp_path / "nothing.csv")


def test_only_what_akool_makes_the_avatar_from_changes_its_content(tmp_path: Path) -> None:
    def content(**changes: object) -> str:
        values = {
            "avatar_id": "Kim01", "name": "Kim", "url": CLIP,
            "is_streaming": False, "is_platform_link": False, "line": 2,
        }  # fmt: skip
        return OwnAvatar(**{**values, **changes}).content_hash  # type: ignore[arg-type]

    same = {content(), content(name="Kimberly"), content(line=9)}
    others = {
        content(avatar_id="Kim02"), content(url=TUBE), content(is_streaming=True),
        content(is_platform_link=True),
    }  # fmt: skip
    assert (len(same), len(others), same & others) == (1, 4, set())


TEXTS = st.text(alphabet=st.characters(codec="utf-8"), max_size=30)
ROWS = st.tuples(
    st.sampled_from(["Kim01", "Kim 01", ""]) | TEXTS,
    st.sampled_from(["Kim", ""]) | TEXTS,
    st.sampled_from([CLIP, TUBE, "https://x.com/a b", "http://", ""]) | TEXTS,
    st.sampled_from(["1", "stream", ""]) | TEXTS,
    st.sampled_from(["1", "drive", ""]) | TEXTS,
)


@given(row=ROWS)
def test_no_file_is_taken_for_good_that_is_not(row: tuple[str, ...]) -> None:
    path = UPath("memory://avatars/avatars.csv")
    sink = io.StringIO(newline="")
    csv.writer(sink).writerows([HEADER.strip().split(","), row])
    path.write_bytes(sink.getvalue().encode())
    try:
        (avatar,) = read_avatars(path).avatars
    except ManifestError as error:
        assert error.problems
        return
    assert avatar.avatar_id.isascii()
    assert avatar.avatar_id.isalnum()
    assert avatar.name.strip()
    assert avatar.url.startswith(("http://", "https://"))
    assert not any(character.isspace() for character in avatar.url)
