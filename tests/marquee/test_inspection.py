"""What is guessed of files that nobody has described: of each kind that people have, and never more than it tells."""

from __future__ import annotations

import gzip
import io
import json
import random
import tarfile
import time
import zipfile
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from marquee.errors import DataError, SourceError
from marquee.sources import locate, recognise
from marquee.sources.formats import FORMATS
from marquee.sources.inspection import Answers, Inspection, inspect, is_untouched, source_name, written
from marquee.sources.inspection.examples import rows_of
from marquee.sources.inspection.names import role_of
from marquee.sources.inspection.patterns import folder_of, patterns_of
from marquee.sources.inspection.scale import scale_of
from marquee.sources.inspection.times import read_time, time_of
from marquee.sources.reading import RatingsReading
from marquee.sources.toml_file import load
from spark_jobs.times import microseconds

NOW = datetime(2026, 6, 1, tzinfo=UTC)
START = datetime(2021, 3, 1, 10, 30, tzinfo=UTC)
ROWS = range(600)
USERS, ITEMS = 90, 70


def look(path: Path, answers: Answers | None = None) -> Inspection:
    return inspect(locate(str(path), path.parent / "cache"), answers, now=NOW)


def lines(row: str, header: str = "", end: str = "\n") -> str:
    """A file: its header, and a line for each row, from a pattern with user, item, stars, time and so on."""
    made = [header] if header else []
    for n in ROWS:
        at = START + timedelta(hours=37 * n)
        values = {
            "user": f"u{n % USERS}", "item": f"i{n % ITEMS}", "n_user": n % USERS, "n_item": n % ITEMS,
            "stars": n % 5 + 1, "ten": n % 10 + 1, "half": (n % 10 + 1) / 2, "at": at, "s": int(at.timestamp()), "n": n,
            "many": n * n % 500,
        }  # fmt: skip
        made.append(row.format(**values))
    return end.join(made) + end


NAMED = {"user_id": "user", "item_id": "item", "rating": "rating"}
BOTH_IDS = ["ratings.columns.user_id", "ratings.columns.item_id"]
PLACED = {"user_id": "1", "item_id": "2", "rating": "3", "rated_at": "4"}

#: file's name, its bytes, fields of the reading as they are, fields that a question is about
TEXTS: list[tuple[str, bytes | str, dict[str, Any], list[str]]] = [
    (
        "plain.csv",
        lines("{user},{item},{stars},{s}", "user,item,rating,time"),
        {"separator": ",", "header": True, "encoding": "utf-8", "columns": {**NAMED, "rated_at": "time"}, "time": "s",
         "minimum": 1, "maximum": 5, "repeated": "latest"},
        [],
    ),
    (
        "mark.csv",
        b"\xef\xbb\xbf" + lines("{user},{item},{half}", "user,item,rating", "\r\n").encode(),
        {"encoding": "utf-8", "columns": NAMED, "minimum": 0.5, "maximum": 5},
        [],
    ),
    (
        "semicolons.csv",
        lines('"{n_user}";"{n_item:010d}";"{ten}"', '"User-ID";"ISBN";"Book-Rating"'),
        {"separator": ";", "quote": '"', "columns": {"user_id": "User-ID", "item_id": "ISBN", "rating": "Book-Rating"},
         "minimum": 1, "maximum": 10},
        [],
    ),
    (
        "no-header.tsv",
        lines("{n_user}\t{n_item}\t{stars}\t{s}"),
        {"separator": "\t", "quote": "", "header": False, "n_fields": 4, "columns": PLACED, "time": "s", "minimum": 1},
        [],
    ),
    ("colons.dat", lines("{n_user}::{n_item}::{stars}::{s}"), {"separator": "::", "columns": PLACED}, []),
    ("hive.txt", lines("{n_user}\x01{n_item}\x01{stars}"), {"separator": "\x01", "header": False}, []),
    ("spaces.txt", lines("{n_user} {n_item} {stars}"), {"separator": " ", "header": False}, []),
    ("bars.psv", lines("{user}|{item}|{stars}", "user|item|rating"), {"separator": "|", "columns": NAMED}, []),
    (
        "recbole.inter",
        lines("{n_user}\t{n_item}\t{stars}.0\t{s}", "user_id:token\titem_id:token\trating:float\ttimestamp:float"),
        {"columns": {"user_id": "user_id:token", "item_id": "item_id:token", "rating": "rating:float",
                     "rated_at": "timestamp:float"}},
        [],
    ),
    (
        "events.csv",
        lines("{s}000,{n_user},view,{n_item},", "timestamp,visitorid,event,itemid,transactionid"),
        {"columns": {"user_id": "visitorid", "item_id": "itemid", "rated_at": "timestamp"}, "time": "ms",
         "repeated": "sum", "minimum": None},
        [],
    ),
    (
        "plays.csv",
        lines("{n_user},{n_item},{many}", "userID,artistID,weight"),
        {"columns": {"user_id": "userID", "item_id": "artistID", "rating": "weight"}, "minimum": None, "maximum": None,
         "repeated": "sum"},
        [],
    ),
    (
        "shop.csv",
        lines('{n},{n_item:05d}A,"WHITE, HEART",{many},{at.month}/{at.day}/{at:%Y} {at.hour}:{at:%M},2.55,{n_user}',
              "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID"),
        {"columns": {"user_id": "CustomerID", "item_id": "StockCode", "rating": "Quantity", "rated_at": "InvoiceDate"},
         "time": "%m/%d/%Y %H:%M", "quote": '"'},
        [],
    ),
    (
        "days.csv",
        lines("{user},{item},{at:%d.%m.%y}", "Kunde;Artikel;Datum".replace(";", ",")),
        {"columns": {"user_id": "Kunde", "item_id": "Artikel", "rated_at": "Datum"}, "time": "%d.%m.%y"},
        [],
    ),
    (
        "asin-first.csv",
        lines("B00{n_item:07d},A1{n_user:010d}XYZ,{stars}.0,{s}"),
        {"columns": {"user_id": "2", "item_id": "1", "rating": "3", "rated_at": "4"}},
        [],
    ),
    (
        "mails.csv",
        lines("{item},{user}@example.org,{stars}"),
        {"columns": {"user_id": "2", "item_id": "1", "rating": "3"}},
        [],
    ),
    (
        "reviews.jsonl",
        "".join(
            json.dumps({"reviewerID": f"A{n % USERS}", "asin": f"B{n % ITEMS}", "helpful": [0, 1], "reviewText": "a, b",
                        "overall": n % 5 + 1.0, "unixReviewTime": 1_400_000_000 + n * 86_400,
                        "reviewTime": f"{datetime.fromtimestamp(1_400_000_000 + n * 86_400, UTC):%m %d, %Y}"}) + "\n"
            for n in ROWS
        ),
        {"layout": "jsonl", "columns": {"user_id": "reviewerID", "item_id": "asin", "rating": "overall",
                                        "rated_at": "unixReviewTime"}, "time": "s"},
        [],
    ),
    (
        "nested.ndjson",
        "".join(json.dumps({"user": {"id": n % USERS}, "product": {"id": n % ITEMS, "name": "x"},
                            "ts": f"{START + timedelta(days=n):%Y-%m-%dT%H:%M:%SZ}"}) + "\n" for n in ROWS),
        {"layout": "jsonl", "columns": {"user_id": "user.id", "item_id": "product.id", "rated_at": "ts"},
         "time": "iso"},
        [],
    ),
    (
        "baskets.txt",
        "".join(f"{', '.join(random.Random(n).choices('abcdefgh', k=n % 6 + 1))}\n" for n in ROWS),
        {"layout": "baskets", "separator": ","},
        [],
    ),
    (
        "sections.txt",
        "".join(f"{n // 9 + 1}:\n" * (n % 9 == 0) + f"{1000 + n},{n % 5 + 1},2005-09-0{n % 9 + 1}\n" for n in ROWS),
        {"layout": "netflix", "minimum": 1, "maximum": 5, "time": "iso"},
        [],
    ),
    ("latin.csv", lines("José{n_user},{item},{stars}", "user,item,rating").encode("latin-1"),
     {"encoding": "latin-1"}, []),
    (
        "windows.csv",
        lines("José{n_user},“{item}”,{stars}", "user,item,rating").encode("cp1252"),
        {"encoding": "cp1252"},
        [],
    ),
    ("russian.csv", lines("пользователь{n_user},товар{n_item},{stars}", "user,item,rating").encode("cp1251"),
     {"encoding": "cp1251"}, []),
    ("wide.csv", lines("ü{n_user},{item},{stars}", "user,item,rating").encode("utf-16"), {"encoding": "utf-16"}, []),
    ("wide-plain.csv", lines("ü{n_user},{item},{stars}", "user,item,rating").encode("utf-16-le"),
     {"encoding": "utf-16-le"}, []),
    (
        "broken.csv",
        lines("ü{n_user},{item},{stars}", "user,item,rating").encode() + b"\xff,i,1\n",
        {"encoding": "utf-8", "columns": NAMED},
        [],
    ),
    # what only a person can tell
    (
        "months.csv",
        "user,item,rating,day\n"
        + "".join(f"u{n % 9},i{n % 7},{n % 5 + 1},{n % 12 + 1:02d}/{n % 11 + 1:02d}/2021\n" for n in ROWS),
        {"columns": {**NAMED, "rated_at": "day"}, "time": "%d/%m/%Y"},
        ["ratings.time"],
    ),
    (
        "two-users.csv",
        lines("{user},v{n_user},{item},{stars}", "buyer_id,visitor_id,product,stars"),
        {},
        ["ratings.columns.user_id"],
    ),
    ("no-names.csv", lines("{user},{item},{stars}", "a,b,stars"), {}, BOTH_IDS),
    ("pairs.csv", lines("{n_user},{n_item}"), {"header": False}, BOTH_IDS),
    ("words.csv", lines("{user},{item}"), {"header": False}, BOTH_IDS),
    (
        "first-line.csv",
        "ann,bread\n" + lines("{user},{item}"),
        {},
        ["ratings.header", *BOTH_IDS],
    ),
    ("note.csv", lines("{user},{item},{stars}", "user,item,mystery"), {}, ["ratings.columns.rating"]),
    (
        "minus-one.csv",
        "user,item,rating\n" + "".join(f"u{n % 9},i{n % 7},{n % 11 if n % 11 else -1}\n" for n in ROWS),
        {"minimum": 1, "maximum": 10},
        ["ratings.minimum"],
    ),
    ("comma.csv", lines("{user};{item};{stars},5", "user;item;rating"), {"separator": ";"}, ["ratings.columns.rating"]),
    (
        "which.csv",
        lines("a{n_user}|x,y{n_item}|z,{stars}", "a|b,c|d,e"),
        {},
        ["ratings.separator", "ratings.header", *BOTH_IDS],
    ),
    ("ago.csv", lines("{user},{item},{n} days ago", "user,item,timestamp"), {}, ["ratings.time"]),
]  # fmt: skip


@pytest.mark.parametrize(("name", "data", "expected", "asked"), TEXTS, ids=[case[0] for case in TEXTS])
def test_what_is_guessed(
    tmp_path: Path, name: str, data: bytes | str, expected: dict[str, Any], asked: list[str]
) -> None:
    (tmp_path / name).write_bytes(data if isinstance(data, bytes) else data.encode())
    begin = time.process_time()  # of this process: the machine may be busy
    inspection = look(tmp_path / name)
    assert time.process_time() - begin < 3
    found = inspection.source.ratings.model_dump()
    assert {field: found[field] for field in expected} == expected
    assert {question.field for question in inspection.questions} == set(asked)
    unsure = {guess.field for guess in inspection.guesses if guess.confidence == "unsure"}
    assert unsure == {question.field for question in inspection.questions}


def test_examples_and_counts_are_those_of_the_reader(tmp_path: Path) -> None:
    path = tmp_path / "shop.csv"
    rows = " 007 ,é 1,4,2021-03-01\nb,2,9,2021-03-02\nc,3\nd,4,x,2021-03-04\ne,5,1,2021-03-05\n"
    path.write_text("buyer,sku,stars,day\n" + rows * 40)
    inspection = look(path, Answers({"rating": "stars"}, minimum=1, maximum=5))
    first = inspection.examples[0]
    assert (first.user_id, first.item_id, first.rating) == (" 007 ", "é 1", 4.0)
    assert first.rated_at == datetime(2021, 3, 1, tzinfo=UTC)
    assert [row.user_id for row in inspection.examples] == [" 007 ", "e"] * 2 + [" 007 "]
    # a rating off the scale, a line that ends too early, and a word for a number
    assert (inspection.n_rows, inspection.n_refused) == (200, 120)


@pytest.mark.parametrize("name", ["ml-latest-small", "ml-100k", "groceries", "ml-latest-small/ml-latest-small.zip"])
def test_real_data_sets_are_built_in(shared_data: Path, name: str) -> None:
    inspection = inspect(locate(str(shared_data / name), shared_data / "cache"))
    known = {"ml-latest-small": "movielens-csv", "ml-100k": "movielens-100k", "groceries": "baskets"}
    assert inspection.format == known[name.partition("/")[0]] and inspection.source == FORMATS[inspection.format]
    assert not inspection.questions and len(inspection.examples) == 5 and inspection.n_refused == 0


def test_a_real_file_under_another_name_is_guessed_as_the_format_reads_it(shared_data: Path, tmp_path: Path) -> None:
    for name, known in (("ml-100k/u.data", "movielens-100k"), ("ml-latest-small/ratings.csv", "movielens-csv")):
        path = tmp_path / "mine.txt"
        path.write_bytes((shared_data / name).read_bytes())
        inspection = inspect(locate(str(path), tmp_path))
        expected, found = FORMATS[known].ratings, inspection.source.ratings
        assert inspection.format == "" and not inspection.questions
        for field in ("separator", "header", "columns", "n_fields", "minimum", "maximum", "time", "repeated"):
            assert getattr(found, field) == getattr(expected, field), field


def test_another_scale_under_a_built_in_name_is_guessed(tmp_path: Path) -> None:
    (tmp_path / "ratings.csv").write_text(lines("{user},{item},{ten},{s}", "userId,movieId,rating,timestamp"))
    inspection = look(tmp_path / "ratings.csv")
    assert inspection.format == "" and inspection.source.ratings.maximum == 10


def parts(folder: Path) -> None:
    folder.mkdir()
    for part in range(12):
        text = lines("{n_user},{n_item},{stars}", "client,produit,note")
        (folder / f"part-{part:05d}.csv").write_text(text)
    (folder / "produits.csv").write_text(
        "produit,name,category\n" + "".join(f"{n},Thing {n},a;b\n" for n in range(ITEMS))
    )
    (folder / "clients.csv").write_text("client,age\n" + "".join(f"{n},{n}\n" for n in range(USERS)))
    (folder / "README.md").write_text("# shop")


def test_a_folder_of_part_files_and_a_catalogue(tmp_path: Path) -> None:
    parts(tmp_path / "shop")
    source = look(tmp_path / "shop").source
    assert source.name == "shop" and source.ratings.files == ("part-*.csv",)
    assert source.items is not None and source.items.files == ("produits.csv",)
    assert source.items.columns == {"item_id": "produit", "title": "name", "genres": "category"}
    assert source.items.genres_separator == ";"


def test_an_archive_of_the_same(tmp_path: Path) -> None:
    parts(tmp_path / "shop")
    with tarfile.open(tmp_path / "export.tar.gz", "w:gz") as tar:
        tar.add(tmp_path / "shop", "export/shop")
    with zipfile.ZipFile(tmp_path / "export.zip", "w") as archive:
        for path in (tmp_path / "shop").iterdir():
            archive.write(path, f"shop/{path.name}")
    sources = [look(tmp_path / name).source for name in ("shop", "export.tar.gz", "export.zip")]
    assert [source.name for source in sources] == ["shop", "export", "export"]
    assert len({source.digest for source in sources}) == 1


def test_a_folder_as_spark_partitions_it(tmp_path: Path) -> None:
    for day in ("2021-03-01", "2021-03-02"):
        folder = tmp_path / "export" / "ratings" / f"day={day}"
        folder.mkdir(parents=True)
        for part in range(2):
            (folder / f"part-{part}.csv").write_text(lines("{user},{item},{stars}", "user,item,rating"))
    (tmp_path / "export" / "items").mkdir()
    (tmp_path / "export" / "items" / "part-0.csv").write_text("item,title\n" + "".join(f"i{n},T\n" for n in range(9)))
    source = look(tmp_path / "export").source
    assert source.ratings.files == ("ratings/day=*/part-*.csv",)
    assert source.items is not None and source.items.files == ("items/part-0.csv",)
    members = recognise(locate(str(tmp_path / "export"), tmp_path), source).members
    assert [member.table for member in members] == ["ratings"] * 4 + ["items"]


@given(
    paths=st.lists(
        st.from_regex(r"\A[a-c0-9*\[]{1,4}/[a-c]{1,2}[0-9]{0,2}\.csv\Z"), min_size=2, max_size=8, unique_by=str.lower
    ),
    n=st.integers(1, 8),
)
def test_patterns_fit_their_files_and_no_others(paths: list[str], n: int) -> None:
    mine, others = paths[:n], paths[n:]
    folder = folder_of(mine)
    patterns = patterns_of(mine, others, folder)

    def is_matched(path: str) -> bool:
        if not PurePosixPath(path).is_relative_to(folder):
            return False
        parts = PurePosixPath(path).relative_to(folder).parts
        wanted = [pattern.split("/") for pattern in patterns]
        return any(len(each) == len(parts) and all(map(fnmatch, parts, each)) for each in wanted)

    assert [path for path in paths if is_matched(path)] == mine


def test_two_files_that_may_be_the_ratings(tmp_path: Path) -> None:
    for name in ("likes", "buys"):
        separator = {"buys": ",", "likes": "\t"}[name]
        (tmp_path / f"{name}.txt").write_text(lines(f"{{user}}{separator}{{item}}", f"user{separator}item"))
    inspection = look(tmp_path)
    assert [question.field for question in inspection.questions] == ["ratings.files"]
    assert "buys.txt or likes.txt" in inspection.questions[0].sentence


def test_a_packed_file_is_looked_into(tmp_path: Path) -> None:
    (tmp_path / "shop.csv.gz").write_bytes(gzip.compress(lines("{user},{item},{ten}", "user,item,rating").encode()))
    source = look(tmp_path / "shop.csv.gz").source
    assert (source.name, source.ratings.maximum) == ("shop", 10)


@pytest.mark.parametrize("where", ["plain", "zip"])
def test_parquet(tmp_path: Path, where: str) -> None:
    table = pa.table(
        {
            "uid": [n % USERS for n in ROWS],
            "iid": [f"i{n % ITEMS}" for n in ROWS],
            "tags": [["a"]] * len(ROWS),
            "plays": [n % 300 for n in ROWS],
            "at": pa.array([START + timedelta(hours=n) for n in ROWS]),
        }
    )
    path = tmp_path / "plays.parquet"
    pq.write_table(table, path)
    if where == "zip":
        with zipfile.ZipFile(tmp_path / "plays.zip", "w") as archive:
            archive.write(path, "plays.parquet")
        path = tmp_path / "plays.zip"
    inspection = look(path)
    reading = inspection.source.ratings
    assert (reading.layout, reading.time, reading.repeated) == ("parquet", "iso", "sum")
    assert reading.columns == {"user_id": "uid", "item_id": "iid", "rating": "plays", "rated_at": "at"}
    assert inspection.examples[1].rated_at == START + timedelta(hours=1)


def test_what_stands_late_in_a_large_file_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "large.csv"
    row = "{},{},{}\n"
    with path.open("w") as file:
        file.write("user,item,rating\n")
        file.writelines(row.format(n % 9_000, n % 700, n % 5 + 1) for n in range(600_000))
        file.writelines(row.format(n % 9_000, n % 700, n % 10 + 1) for n in range(600_000))
    begin = time.process_time()
    reading = look(path).source.ratings
    assert time.process_time() - begin < 3
    assert (reading.minimum, reading.maximum) == (1, 10)


def test_thousands_of_columns(tmp_path: Path) -> None:
    names = [f"c{n}" for n in range(3_000)]
    rows = "".join(f"u{n % 20},i{n % 30},{n % 5 + 1},{',x3' * 3_000}\n".replace(",,", ",") for n in range(100))
    (tmp_path / "wide.csv").write_text(f"user,item,rating,{','.join(names)}\n{rows}")
    begin = time.process_time()
    inspection = look(tmp_path / "wide.csv")
    assert time.process_time() - begin < 3
    assert inspection.source.ratings.columns == NAMED and not inspection.questions


REFUSED = [
    ("page.csv", b"<!doctype html><p>not found", "is HTML or XML: export it as CSV, JSON Lines or Parquet."),
    ("array.json", b'[{"user": 1, "item": 2}]', "is one JSON array: write one object a line"),
    ("numbers.npy", bytes(4000) + b"abc", "is no text (4,000 of its first 4,003 bytes are zero)"),
    ("words.txt", b"hello\nworld\n", "has no separator by which most of its lines have the same number of fields"),
    ("half.parquet", b"PAR1 and nothing", "can't be read as Parquet"),
    ("title.csv", b"My export\n" + lines("{user},{item}", "user,item").encode(), "line 1, has not the 2 fields"),
    (
        "catalogue.csv",
        lines("{item},Thing,a|b", "movieId,title,genres").encode(),
        "has no column that could be the user",
    ),
    ("one.csv", lines("{user},", "user,").encode(), "has fewer than two columns with names"),
    ("long.csv", b"a,b," * (2 << 20), "has a first line of more than 4,194,304 letters"),
]


@pytest.mark.parametrize(("name", "data", "sentence"), REFUSED, ids=[case[0] for case in REFUSED])
def test_what_is_no_table_of_ratings_is_refused(tmp_path: Path, name: str, data: bytes, sentence: str) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(SourceError) as raised:
        look(tmp_path / name)
    assert name in str(raised.value) and sentence in str(raised.value)


def test_a_column_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    (tmp_path / "twice.csv").write_text(lines("{user},{user},{item}", "user,user,item"))
    with pytest.raises(DataError, match="twice the column 'user'"):
        look(tmp_path / "twice.csv")


def test_a_workbook_is_named_as_such(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "shop.xlsx", "w") as archive:
        archive.writestr("xl/workbook.xml", "<workbook/>")
    with pytest.raises(SourceError, match="is an Excel workbook: save its sheet as CSV"):
        look(tmp_path / "shop.xlsx")


def test_a_folder_without_ratings(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("name,age\nx,1\ny,2\n")
    (tmp_path / "b.csv").write_text("city,zip\nx,1\ny,2\n")
    with pytest.raises(SourceError, match=r"holds no file with columns of users and items \(found a.csv, b.csv\)"):
        look(tmp_path)


def test_answers_are_not_guessed_again(tmp_path: Path) -> None:
    path = tmp_path / "pairs.csv"
    path.write_text(lines("{n_item};{n_user};{ten};{at:%d/%m/%Y}"))
    answers = Answers({"user_id": "2", "item_id": "1"}, separator=";", minimum=0, maximum=10)
    inspection = look(path, answers)
    assert not inspection.questions
    reading = inspection.source.ratings
    assert reading.columns == {"user_id": "2", "item_id": "1", "rating": "3", "rated_at": "4"}
    assert (reading.minimum, reading.maximum, reading.time) == (0, 10, "%d/%m/%Y")
    bare = look(path, Answers({"user_id": "2", "item_id": "1", "rating": "", "rated_at": ""})).source.ratings
    assert bare.columns == {"user_id": "2", "item_id": "1"} and bare.repeated == "sum"


@pytest.mark.parametrize(
    ("answers", "sentence"),
    [
        (Answers({"user_id": "buyer", "item_id": "item"}), "has no column 'buyer' to be the user"),
        (Answers({"user_id": "user", "item_id": "USER"}), "column 'USER' can't be two of user, item, rating and time"),
        (Answers(separator=";"), "has no two fields with ';' between them"),
        (Answers({"rating": "rating"}, minimum=5, maximum=1), "the lowest rating 5 is above the highest 1"),
    ],
)
def test_wrong_answers(tmp_path: Path, answers: Answers, sentence: str) -> None:
    (tmp_path / "shop.csv").write_text(lines("{user},{item},{stars}", "user,item,rating"))
    with pytest.raises(SourceError) as raised:
        look(tmp_path / "shop.csv", answers)
    assert sentence in str(raised.value)


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("Shop.CSV", "shop"), ("ratings.csv.gz", "ratings"), ("ml-1m.zip", "ml-1m"), ("x.tar.zst", "x"),
        ("My Ratings (2).tsv", "my-ratings-2"), ("u1.base", "u1.base"), ("…", "source"),
        ("plays.2024.parquet", "plays.2024"), ("a" * 80 + ".csv", "a" * 64),
    ],
)  # fmt: skip
def test_a_source_is_named_as_its_file(file: str, name: str) -> None:
    assert source_name(file) == name


def test_what_is_written_is_left_alone_once_a_person_has_changed_it(tmp_path: Path) -> None:
    (tmp_path / "shop.csv").write_text(lines("{user},{item},{stars}", "user,item,rating"))
    inspection = look(tmp_path / "shop.csv")
    toml = tmp_path / "sources" / "shop.toml"
    for _ in range(2):
        written(inspection, toml, may_replace=False)
        assert load(str(toml)) == inspection.source and is_untouched(toml.read_text())
    toml.write_text(toml.read_text().replace("maximum = 5.0", "maximum = 6.0"))
    with pytest.raises(SourceError, match="was written or changed by a person, and is left as it is: give --force"):
        written(inspection, toml, may_replace=False)
    written(inspection, toml, may_replace=True)
    assert load(str(toml)).ratings.maximum == 5


def test_an_open_question_keeps_the_file_from_being_loaded(tmp_path: Path) -> None:
    (tmp_path / "pairs.csv").write_text(lines("{n_user},{n_item}"))
    toml = tmp_path / "pairs.toml"
    written(look(tmp_path / "pairs.csv"), toml, may_replace=False)
    with pytest.raises(SourceError, match=r"has an open question: Which column is the user, '1' or '2'\?"):
        load(str(toml))
    toml.write_text(
        toml.read_text().replace('# user_id = "1"', 'user_id = "2"').replace('# item_id = "2"', 'item_id = "1"')
    )
    assert load(str(toml)).ratings.columns == {"user_id": "2", "item_id": "1"}


@pytest.mark.parametrize(
    ("values", "unit"),
    [
        (["1600000000", "1600000100"], "s"),
        (["1600000000.25", "1600000100.5"], "s"),
        (["1600000000000"] * 3, "ms"),
        (["1600000000000000"] * 3, "us"),
        (["1600000000000000000"] * 3, "ns"),
        (["20051231", "20060101"], "%Y%m%d"),
        (["20051231235959"], "%Y%m%d%H%M%S"),
        (["2021-03-04", "2021-03-05"], "iso"),
        (["2021-03-04T05:06:07.123456Z", "2021-03-04T05:06:07+02:00"], "iso"),
        (["2021-03-04 05:06"], "iso"),
        (["31/12/2021 10:30"], "%d/%m/%Y %H:%M"),
        (["12/31/2021 10:30 PM"], "%m/%d/%Y %I:%M %p"),
        (["1/31/10 8:26"], "%m/%d/%y %H:%M"),
        (["09 13, 2009"], "%m %d, %Y"),
        (["Tue Nov 17 11:37:35 -0800 2009"], "%a %b %d %H:%M:%S %z %Y"),
        (["17-Nov-2009"], "%d-%b-%Y"),
        (["November 17, 2009"], "%B %d, %Y"),
        (["3", "4", "5"], None),
        (["12.50", "13.75"], None),
        (["red", "green"], None),
        (["", " "], None),
    ],
)
def test_units_of_time(values: list[str], unit: str | None) -> None:
    found = time_of(values, NOW)
    assert (found.unit if found else None) == unit
    if found:
        assert all(read_time(value, found.unit) for value in values)


@given(
    moment=st.datetimes(datetime(1990, 1, 1), datetime(2026, 1, 1)).map(lambda at: at.replace(microsecond=0)),
    unit=st.sampled_from(["s", "ms", "us", "ns", "iso", "%d/%m/%Y %H:%M:%S", "%B %d, %Y", "%Y%m%d"]),
)
@hypothesis_settings(deadline=None)
@example(moment=datetime(2000, 2, 29, 23, 59, 59), unit="ns")
def test_an_example_shows_the_time_that_the_job_reads(moment: datetime, unit: str) -> None:
    factors = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
    seconds = int(moment.replace(tzinfo=UTC).timestamp())
    text = (
        str(seconds * factors[unit]) if unit in factors else moment.isoformat() if unit == "iso" else f"{moment:{unit}}"
    )
    (found,), (is_time,) = microseconds(pa.array([text]), unit)
    shown = read_time(text, unit)
    assert is_time and shown is not None and round(shown.timestamp() * 1_000_000) == found


@pytest.mark.parametrize(
    ("values", "scale", "is_count"),
    [
        ([1, 2, 3, 4, 5], (1, 5), False), ([2, 3, 4], (1, 4), False), ([0, 1], (0, 1), False),
        ([0.5, 5, 3], (0.5, 5), False),
        ([1, 1.5, 5], (0.5, 5), False), ([0, 5], (0, 5), False), ([1, 10], (1, 10), False), ([0, 10], (0, 10), False),
        ([1, 100], (1, 100), False), ([-9.5, 0.25, 9.75], (-10, 10), False), ([-1, 1], (-1, 1), False),
        ([1, 3, 250], (None, None), True), ([-300.5, 2], (None, None), False),
    ],
)  # fmt: skip
def test_scales(values: list[float], scale: tuple[float | None, float | None], is_count: bool) -> None:
    found = scale_of([str(value) for value in values] * 50, is_count=False)
    assert ((found.minimum, found.maximum), found.is_count) == (scale, is_count)


def test_a_stray_rating_does_not_widen_the_scale() -> None:
    found = scale_of(["1", "2", "3", "4", "5"] * 100 + ["55"], is_count=False)
    assert (found.minimum, found.maximum, found.confidence) == (1, 5, "likely")
    assert "but for 1 of 501 rows outside" in found.reason


@pytest.mark.parametrize(
    ("role", "names"),
    [
        (
            "user_id",
            "userId user_id USER-ID user UserID uid customer_id CustomerNo member visitorid reviewerID account user.id",
        ),
        (
            "item_id",
            "movieId item_id:token asin ISBN sku product_id StockCode book track_id article businessId anime_id",
        ),
        ("rating", "rating stars score overall Book-Rating rating:float review_score Bewertung"),
        ("count", "count quantity play_count n_plays weight amount"),
        ("rated_at", "timestamp time date created_at unixReviewTime InvoiceDate event_time timestamp_ms ts date_added"),
        ("", "price age gender title_length average_rating description event country n_reviews_total id name"),
    ],
)
def test_what_names_tell(role: str, names: str) -> None:
    assert {name: role_of(name).role for name in names.split()} == dict.fromkeys(names.split(), role)


@hypothesis_settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    separator=st.sampled_from([",", ";", "\t", "|", "::", "\x01"]),
    end=st.sampled_from(["\n", "\r\n"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "latin-1", "utf-16"]),
    order=st.permutations(["user_id", "item_id", "rating", "rated_at", "comment"]),
    is_quoted=st.booleans(),
    scale=st.sampled_from([(1, 5), (0, 10), (1, 100)]),
    unit=st.sampled_from(["s", "ms", "iso", "%d/%m/%Y %H:%M"]),
    seed=st.integers(0, 1_000),
)
def test_whatever_the_dialect_named_columns_are_found_and_read(
    tmp_path: Path, separator: str, end: str, encoding: str, order: list[str], is_quoted: bool, scale: tuple[int, int],
    unit: str, seed: int,
) -> None:  # fmt: skip
    chance = random.Random(seed)
    quote = '"' if is_quoted and len(separator) == 1 else ""
    expected = []
    made = [separator.join(f"{quote}{name}{quote}" for name in order)]
    for n in range(120):
        at = datetime(2015, 1, 1, tzinfo=UTC) + timedelta(minutes=chance.randrange(4_000_000))
        row = {
            "user_id": f"ü {chance.randrange(30)}",
            "item_id": f"{chance.randrange(20):05d}",
            "rating": str(scale[n % 2] if n < 2 else chance.randint(*scale)),
            "rated_at": {
                "s": f"{at.timestamp():.0f}",
                "ms": f"{at.timestamp():.0f}000",
                "iso": f"{at:%Y-%m-%dT%H:%M:%SZ}",
            }.get(unit, f"{at:%d/%m/%Y %H:%M}"),
            "comment": f"so so {n}",
        }
        made.append(separator.join(f"{quote}{row[name]}{quote}" for name in order))
        expected.append((row["user_id"], row["item_id"], float(row["rating"]), at))
    path = tmp_path / "any.csv"
    path.write_bytes((end.join(made) + end).encode(encoding))
    inspection = look(path)
    reading = inspection.source.ratings
    assert not inspection.questions
    assert reading.columns == {name: name for name in ("user_id", "item_id", "rating", "rated_at")}
    assert (reading.separator, reading.minimum, reading.maximum, reading.time) == (separator, *scale, unit)
    shown = [(row.user_id, row.item_id, row.rating, row.rated_at) for row in inspection.examples]
    assert shown == expected[:5] and inspection.n_refused == 0


def test_a_cut_last_line_is_no_refused_row() -> None:
    reading = RatingsReading(columns={"user_id": "u", "item_id": "i"})
    rows = rows_of(reading, io.BytesIO(b"u,i,t\na,b,1\nc,d"), is_cut=True)
    assert (rows.n_read, rows.n_refused) == (1, 0)
    rows = rows_of(reading, io.BytesIO(b"u,i,t\na,b,1\nc,d"), is_cut=False)
    assert (rows.n_read, rows.n_refused) == (2, 1)
