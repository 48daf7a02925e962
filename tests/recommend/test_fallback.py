from pathlib import Path

from slate.recommend import fallback


def test_popular_items_survive_the_file_and_skip_what_is_blocked(tmp_path: Path) -> None:
    fallback.write(tmp_path, ["b", "é, x", "a"], [0.5, 0.3, 0.2])
    ranking = fallback.read(tmp_path)
    assert ranking == (("b", 0.5), ("é, x", 0.3), ("a", 0.2))
    items = fallback.popular(ranking, {"b"}, 2)
    assert [(i.item_id, i.position, i.source) for i in items] == [("é, x", 1, "popular"), ("a", 2, "popular")]


def test_an_empty_list_answers_nothing(tmp_path: Path) -> None:
    fallback.write(tmp_path, [], [])
    assert fallback.popular(fallback.read(tmp_path), set(), 5) == ()
