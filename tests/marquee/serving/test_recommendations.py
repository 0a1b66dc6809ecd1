"""The client of one file: real releases that switch, go and are replaced under its hands."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import duckdb
import pytest

import marquee
from marquee import releases
from marquee.forgetting.subject import Subject
from marquee.recommendations import PopularItem, Reason, Recommendation, Recommendations, SimilarItem
from marquee.recommendations import ReadingError as CantRead
from marquee.releases import forgetting
from marquee.settings import PROJECT
from tests.marquee.serving.releases_made import publish

LONG = "an-id-whose-first-letters-are-those-of-all-the-others/"
WHY = (Reason("i3", "Nine", 0.5),)


def test_lists_of_users(tmp_path: Path) -> None:
    publish(tmp_path, "r1", ["1", "2", LONG + "1", LONG + "2", "O'Neill; --"])
    with marquee.Recommendations(tmp_path) as recommendations:
        assert recommendations.release == "r1"
        for user in ("1", LONG + "2", "O'Neill; --"):
            assert recommendations.for_user(user, k=2) == [
                Recommendation(user, 1, "i0", "r1", 1.0, "als", WHY),
                Recommendation(user, 2, "i1", "r1", 0.5, "als", WHY),
            ]
        assert [each.position for each in recommendations.for_user("1")] == [1, 2, 3], "no more are published"
        assert recommendations.similar("i0", k=1) == [SimilarItem(1, "i1", "r1", 1.0)]
        assert recommendations.similar("nothing") == []
        assert recommendations.popular(1) == [PopularItem(1, "i0", "r1", 8)]
        assert recommendations.for_user("nobody", 2) == [
            Recommendation("nobody", 1, "i0", "r1", 8.0, "popular"),
            Recommendation("nobody", 2, "i1", "r1", 7.0, "popular"),
        ]
        with pytest.raises(ValueError, match="k is 0: ask for at least 1 item"):
            recommendations.for_user("1", 0)


def test_popular_items_of_a_genre_and_lately(tmp_path: Path) -> None:
    publish(tmp_path, "r1", ["1"])
    recommendations = Recommendations(tmp_path)
    assert [each.item_id for each in recommendations.popular(2, "genre:Drama")] == ["i0", "i1"]
    assert [each.item_id for each in recommendations.popular(1, "recent")] == ["i3"]
    assert recommendations.popular(1, "genre:None") == []


def test_the_next_call_reads_the_new_release(tmp_path: Path) -> None:
    old = publish(tmp_path, "r1", ["1"])
    recommendations = Recommendations(tmp_path)
    with recommendations.held() as release:
        publish(tmp_path, "r2", ["1"])
        assert recommendations.release == "r2"
        old.unlink()
        assert {each.title for each in release.for_user("1")} == {"r1"}, "a call keeps its release to its end"
    assert {each.title for each in recommendations.for_user("1")} == {"r2"}
    publish(tmp_path, "r1", ["1"])
    assert recommendations.release == "r1", "one that is taken back"


def test_every_list_is_found_whatever_ids_look_like(tmp_path: Path) -> None:
    """Alike in front, of many letters, the first and the last one, and those who would stand between."""
    users = [f"customer-of-the-shop-{number}" for number in range(0, 6000, 2)] + ["", "é", "日本", "\U0001f600", "z'"]
    path = publish(tmp_path, "r1", users)
    with duckdb.connect(str(path), read_only=True) as own:
        assert own.execute("SELECT list(first_row ORDER BY first_row) FROM places").fetchall() == [([0, 4096, 8192],)]
    recommendations = Recommendations(tmp_path)
    for user in users[::29] + users[-5:]:
        assert {(each.user_id, each.source) for each in recommendations.for_user(user)} == {(user, "als")}
        assert {each.source for each in recommendations.for_user(f"{user}5")} == {"popular"}


def test_lists_are_found_after_somebody_was_forgotten(tmp_path: Path) -> None:
    path = publish(tmp_path, "r1", ["1", "2", "3"])
    recommendations = Recommendations(tmp_path)
    assert forgetting.renew(path, Subject("user", "2"))
    assert {each.source for each in recommendations.for_user("2")} == {"popular"}
    for user in ("1", "3"):
        assert [(each.user_id, each.item_id) for each in recommendations.for_user(user)] == [
            (user, "i0"), (user, "i1"), (user, "i2")
        ]  # fmt: skip
    assert forgetting.renew(path, Subject("item", "i1"))
    assert [each.item_id for each in recommendations.for_user("3")] == ["i0", "i2"]
    assert [each.item_id for each in recommendations.for_user("3", 1)] == ["i0"]


def test_a_file_replaced_under_its_name_is_read_anew(tmp_path: Path) -> None:
    path = publish(tmp_path / "a", "r1", ["1", "forgotten"])
    other = publish(tmp_path / "b", "r1", ["1"])
    recommendations = Recommendations(tmp_path / "a")
    assert recommendations.for_user("forgotten")[0].source == "als"
    with recommendations.held() as before:
        other.replace(path)
        with recommendations.held() as after:
            assert before.mark != after.mark
    assert recommendations.for_user("forgotten")[0].source == "popular"


def test_a_release_that_somebody_still_reads_is_current_again(tmp_path: Path) -> None:
    publish(tmp_path, "r1", ["1"])
    recommendations = Recommendations(tmp_path)
    with recommendations.held() as before:
        publish(tmp_path, "r2", ["1"])
        assert recommendations.for_user("1")[0].title == "r2"
        releases.switch(tmp_path, "r1")
        with recommendations.held() as again:
            assert again is not before
            assert [release.for_user("1")[0].title for release in (before, again)] == ["r1", "r1"]
    releases.switch(tmp_path, "r2")
    assert recommendations.for_user("1")[0].title == "r2"
    assert [path.name for path in open_files(tmp_path)] == ["r2.duckdb"]


def test_old_files_are_closed(tmp_path: Path) -> None:
    recommendations = None
    for number in range(5):
        publish(tmp_path, f"r{number}", ["1"])
        recommendations = recommendations or Recommendations(tmp_path)
        recommendations.for_user("1")
    assert [path.name for path in open_files(tmp_path)] == ["r4.duckdb"]
    recommendations.close()
    assert open_files(tmp_path) == []
    assert recommendations.release == "r4", "a call after close opens it again"


def open_files(folder: Path) -> list[Path]:
    import psutil

    found = [Path(each.path) for each in psutil.Process().open_files()]
    return [path for path in found if path.is_relative_to(folder) and path.suffix == ".duckdb"]


def test_a_single_file_and_a_folder_copied_elsewhere(tmp_path: Path) -> None:
    path = publish(tmp_path / "here", "r1", ["1"])
    shutil.copy(path, tmp_path / "fetched.duckdb")
    assert Recommendations(tmp_path / "fetched.duckdb").release == "r1"


def test_an_application_has_the_same_file_open(tmp_path: Path) -> None:
    path = publish(tmp_path, "r1", ["1"])
    with duckdb.connect(str(path), read_only=True) as own:
        assert Recommendations(tmp_path).release == "r1"
        assert own.execute("SELECT count(*) FROM recommendations").fetchall() == [(3,)]


def test_nothing_to_read(tmp_path: Path) -> None:
    with pytest.raises(CantRead, match=r"There is no release at .*publish one first"):
        Recommendations(tmp_path)
    (tmp_path / "broken.duckdb").write_bytes(b"no database at all" * 1000)
    with pytest.raises(CantRead, match=r"broken\.duckdb can't be opened: .*publish it anew"):
        Recommendations(tmp_path / "broken.duckdb")


def test_a_link_that_leads_nowhere_leaves_what_is_open(tmp_path: Path) -> None:
    publish(tmp_path, "r1", ["1"])
    recommendations = Recommendations(tmp_path)
    (tmp_path / "recommendations.duckdb").unlink()
    assert recommendations.release == "r1"


def test_many_threads_while_releases_switch_and_old_ones_go(tmp_path: Path) -> None:
    users = [str(user) for user in range(50)]
    path = publish(tmp_path, "r0", users)
    recommendations, wrong, is_over = Recommendations(tmp_path), [], threading.Event()
    asked = [0] * 6

    def read(thread: int) -> None:
        while not is_over.is_set():
            try:
                with recommendations.held() as release:
                    rows = release.for_user(users[asked[thread] % 50]) + release.for_user("nobody")
                    if {row.title for row in rows} != {release.id}:
                        wrong.append(rows)
            except Exception as error:
                wrong.append(error)
            asked[thread] += 1

    threads = [threading.Thread(target=read, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for number in range(1, 12):
        old, path = path, publish(tmp_path, f"r{number}", users)
        old.unlink()
        before = list(asked)
        while any(now < then + 3 for now, then in zip(asked, before, strict=True)) and not wrong:
            is_over.wait(0.01)
    is_over.set()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert recommendations.release == "r11"


def test_a_fork_reads_for_itself(tmp_path: Path) -> None:
    publish(tmp_path, "r1", ["1"])
    recommendations = Recommendations(tmp_path)
    answers = multiprocessing.get_context("fork").SimpleQueue()

    def child() -> None:
        answers.put((os.getpid(), [each.title for each in recommendations.for_user("1")]))

    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    process.join()
    assert answers.get() == (process.pid, ["r1"] * 3)
    assert recommendations.release == "r1"


def test_the_file_stands_alone(tmp_path: Path) -> None:
    """Copied into an application, without this project."""
    publish(tmp_path, "r1", ["1"])
    shutil.copy(PROJECT / "marquee" / "recommendations.py", tmp_path / "lists.py")
    program = (
        "import sys, lists\n"
        "print(lists.Recommendations('.').for_user('1', 1)[0].title)\n"
        "print(sorted(name for name in sys.modules if name in ('marquee', 'pyarrow', 'pandas', 'numpy')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
    )  # fmt: skip
    assert done.stdout.splitlines() == ["r1", "[]"], done.stderr


def test_marquee_itself_stays_light() -> None:
    program = "import sys, marquee; print('duckdb' in sys.modules, marquee.Recommendations.__name__)"
    done = subprocess.run([sys.executable, "-c", program], cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["False", "Recommendations"], done.stderr
