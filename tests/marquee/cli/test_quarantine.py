"""`marquee quarantine` and `marquee forget`, as a person types them, beside a real S3 server."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pyarrow as pa
import pytest
from typer.testing import CliRunner

from marquee.cli import app
from marquee.forgetting import requests
from marquee.forgetting.requests import Record
from marquee.forgetting.subject import Subject
from marquee.formats import read
from marquee.lake import tables
from marquee.lake.objects import Lake
from marquee.lake.raw import Manifest, stage
from marquee.sources import locate, recognise
from marquee.sources.reading import RatingsReading, Source
from marquee.sources.toml_file import load

QUARANTINE = pa.schema(
    [
        ("source_sha256", pa.string()),
        ("source_file", pa.string()),
        ("source_line", pa.int64()),
        ("kind", pa.string()),
        ("reason", pa.string()),
        ("sentence", pa.string()),
        ("raw", pa.string()),
    ]
)
HEADER = "userId,movieId,rating,timestamp"
WHEN = "2026-11-23T10:00:00+00:00"


pytestmark = pytest.mark.usefixtures("connected")


def run(*words: str, typed: str | None = None) -> tuple[int, str, str]:
    done = CliRunner(env={"COLUMNS": "200"}).invoke(app, list(words), input=typed)
    return done.exit_code, done.stdout, done.stderr


def batch_of(lake: Lake, path: Path, source: Source | None = None) -> Manifest:
    return stage(lake, recognise(locate(str(path), path.parent / "cache"), source), WHEN)


def put_aside(lake: Lake, manifest: Manifest, rows: list[tuple[int, str, str]], *, is_accepted: bool) -> None:
    """Rows (line, reason, raw) of a batch in quarantine, prepared or accepted."""
    (member,) = manifest.of("ratings")
    columns = [
        [manifest.sha256] * len(rows),
        [member.name] * len(rows),
        [line for line, _, _ in rows],
        ["ratings"] * len(rows),
        [reason for _, reason, _ in rows],
        [f"rating is [bold] {reason}" for _, reason, _ in rows],
        [raw for _, _, raw in rows],
    ]
    data = pa.table([pa.array(column) for column in columns], schema=QUARANTINE)
    part = tables.write_part(lake, "quarantine", manifest.batch, data)
    prepared = tables.Prepared("quarantine", manifest.batch, (part,))
    tables.save_prepared(lake, prepared)
    if is_accepted:
        tables.commit(lake, prepared, QUARANTINE, mode="append", metadata={})
        empty = tables.Prepared("ratings", manifest.batch, ())
        tables.commit(lake, empty, pa.schema([("user_id", pa.string())]), mode="append", metadata={})


def ratings(folder: Path, name: str, *lines: str) -> Path:
    path = folder / name
    path.write_text("\n".join([HEADER, *lines, ""]), encoding="utf-8")
    return path


BAD = [(2, "rating_not_a_number", "5,7,[x],9"), (3, "missing_rating", "5,8,,9"), (4, "missing_rating", "6,8,,9")]


def test_nothing_was_refused_yet() -> None:
    code, out, _ = run("quarantine")
    assert code == 0 and "No row was refused." in out and "Nothing is to be mended." in out


def test_counts_meanings_and_examples(fresh_lake: Lake, tmp_path: Path) -> None:
    manifest = batch_of(fresh_lake, ratings(tmp_path, "ratings.csv", *(raw for _, _, raw in BAD), "6,7,1,2", "6,7,1,2"))
    put_aside(fresh_lake, manifest, [*BAD, (6, "duplicate", "6,7,1,2")], is_accepted=True)
    code, out, _ = run("quarantine", "--limit", "1")
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert code == 0
    assert "Rows refused from the batches in the tables:" in lines
    assert "2 missing_rating the rating is empty" in lines
    assert "1 rating_not_a_number the rating is no number" in lines
    assert any(line.startswith("1 duplicate") and line.endswith("(no fault)") for line in lines)
    assert "ratings.csv, line 2: rating is [bold] rating_not_a_number" in out and "  5,7,[x],9" in out
    assert "line 3" in out and "line 4" not in out, "one example of each reason"
    assert "Next: marquee quarantine --raw mended.csv" in out


def test_rows_of_a_reason_or_batch(fresh_lake: Lake, tmp_path: Path) -> None:
    first = batch_of(fresh_lake, ratings(tmp_path, "ratings.csv", *(raw for _, _, raw in BAD)))
    second = batch_of(fresh_lake, ratings(tmp_path, "other.csv", "1,1,x,2"))
    put_aside(fresh_lake, first, BAD, is_accepted=True)
    put_aside(fresh_lake, second, [(2, "bad_time", "1,1,x,2")], is_accepted=True)
    for words, expected in (
        ((), 4),
        (("--reason", "missing_rating"), 2),
        (("--batch", first.sha256[:12]), 3),
        (("--batch", second.batch), 1),
        (("--batch", "ffff"), 0),
    ):
        code, out, _ = run("quarantine", "--csv", *words)
        rows = list(csv.DictReader(io.StringIO(out)))
        assert code == 0 and len(rows) == expected, words
    assert rows == []
    code, _, error = run("quarantine", "--reason", "ugly")
    assert code == 1 and "'ugly' is no reason: name one of unreadable_line" in error


def test_a_batch_that_was_refused_is_shown_though_no_table_has_it(fresh_lake: Lake, tmp_path: Path) -> None:
    accepted = batch_of(fresh_lake, ratings(tmp_path, "ratings.csv", "5,7,x,9"))
    put_aside(fresh_lake, accepted, [(2, "rating_not_a_number", "5,7,x,9")], is_accepted=True)
    refused = batch_of(fresh_lake, ratings(tmp_path, "other.csv", *(raw for _, _, raw in BAD)))
    put_aside(fresh_lake, refused, BAD, is_accepted=False)
    code, out, _ = run("quarantine")
    assert code == 0
    assert f"Batch {refused.batch[:12]}, which was not accepted: none of its rows is in the tables." in out
    assert "other.csv, line 2" in out and "ratings.csv, line 2" in out
    assert "--max-quarantined" in out
    assert len(list(csv.reader(io.StringIO(run("quarantine", "--csv")[1])))) == 1 + 3 + 1
    # accepted after all, it is no longer held back
    put_aside(fresh_lake, refused, BAD, is_accepted=True)
    assert "was not accepted" not in run("quarantine")[1]


def test_lines_to_mend_are_a_file_of_the_same_layout(fresh_lake: Lake, tmp_path: Path) -> None:
    manifest = batch_of(fresh_lake, ratings(tmp_path, "ratings.csv", *(raw for _, _, raw in BAD), "6,7,1,2"))
    put_aside(fresh_lake, manifest, [*BAD, (5, "superseded", "6,7,1,2")], is_accepted=True)
    mended = tmp_path / "mended.csv"
    code, out, _ = run("quarantine", "--raw", str(mended))
    assert code == 0 and "3 lines as they were received" in out
    assert mended.read_text() == "\n".join([HEADER, *(raw for _, _, raw in BAD), ""])
    assert f"marquee ingest {mended} --format movielens-csv" in out
    code, _, error = run("quarantine", "--raw", str(mended))
    assert code == 1 and "is there already" in error


def test_lines_of_a_source_of_ones_own_bring_their_reading_along(fresh_lake: Lake, tmp_path: Path) -> None:
    source = Source(
        name="shop",
        ratings=RatingsReading(
            separator="\t", encoding="latin-1", columns={"user_id": "buyer", "item_id": "tea", "rating": "stars"}
        ),
    )
    path = tmp_path / "shop.tsv"
    path.write_bytes("buyer\ttea\tstars\n\u00e9va\tmint\tfine\n".encode("latin-1"))
    manifest = batch_of(fresh_lake, path, source)
    put_aside(fresh_lake, manifest, [(2, "rating_not_a_number", "\u00e9va\tmint\tfine")], is_accepted=False)
    mended = tmp_path / "mended.tsv"
    code, out, _ = run("quarantine", "--raw", str(mended))
    assert code == 0 and f"--source {tmp_path / 'mended.toml'}" in out and "was not accepted" in out
    assert load(str(tmp_path / "mended.toml")) == source
    with mended.open("rb") as stream:
        (block,) = read(source.ratings, stream)
    assert block.columns["user_id"].to_pylist() == ["\u00e9va"]


def test_lines_that_are_no_file_by_themselves(fresh_lake: Lake, tmp_path: Path) -> None:
    folder = tmp_path / "netflix"
    folder.mkdir()
    (folder / "mv_0000001.txt").write_text("1:\n7,9,2005-01-01\n")
    manifest = batch_of(fresh_lake, folder)
    put_aside(fresh_lake, manifest, [(2, "rating_out_of_range", "7,9,2005-01-01")], is_accepted=True)
    code, _, error = run("quarantine", "--raw", str(tmp_path / "mended.txt"))
    assert code == 1 and "has the layout netflix, whose lines are no file by themselves" in error
    assert not (tmp_path / "mended.txt").exists()


def test_forget_says_what_it_needs(fresh_lake: Lake) -> None:
    for words in ((), ("--user", "a", "--item", "b"), ("--list", "--user", "a")):
        code, _, error = run("forget", *words)
        assert code == 1 and "Give one of --user ID, --item ID, --again REQUEST and --list." in error
    code, _, error = run("forget", "--user", "-", "--yes", typed="\n")
    assert code == 1 and "No id of the user was given" in error
    code, out, _ = run("forget", "--user", "anna", typed="n\n")
    assert code == 1 and "can't be brought back. Go on?" in out
    code, _, error = run("forget", "--again", "11111111-2222-4333-8444-555555555555")
    assert code == 1 and "There is no request" in error
    assert fresh_lake.client().list_objects_v2(Bucket=fresh_lake.bucket).get("Contents", []) == []


def test_without_airflow_no_id_is_written_anywhere(fresh_lake: Lake) -> None:
    code, _, error = run("forget", "--user", "anna@example.org", "--yes")
    assert code == 1 and "run `marquee up`" in error
    assert requests.asked(fresh_lake) == []


def test_what_was_forgotten_is_listed_without_a_name(fresh_lake: Lake) -> None:
    assert "Nothing was ever forgotten" in run("forget", "--list")[1]
    request = requests.ask(fresh_lake, Subject("user", "anna@example.org"), WHEN)
    code, out, _ = run("forget", "--list")
    assert code == 0 and "not yet" in out and f"marquee forget --again {request}" in out and "anna" not in out
    requests.finish(fresh_lake, Record(request, "user", {"raw": 1_000, "ratings": 7}, (), {"ratings": 3}, WHEN, WHEN))
    out = run("forget", "--list")[1]
    assert "7 ratings, 1,000 raw" in out and "not yet" not in out
