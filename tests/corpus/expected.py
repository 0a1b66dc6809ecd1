"""What becomes of each file of the corpus: which rows are accepted, which quarantined and why, or which sentence.

Most files begin with a header (line 1) and a good rating (line 2, `GOOD`), which stays whatever the rest of it is.
The places of rows are line numbers, the first is 1; "b.csv:3" where a case has several files.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from marquee.sources.reading import ItemsReading, RatingsReading, Source
from tests.corpus.make import (
    Maker,
    bz,
    damaged,
    encrypted,
    file,
    files,
    gz,
    large,
    parquet,
    png,
    tar_of,
    xz,
    zip_of,
    zst,
)  # fmt: skip

RECEIVED_AT = "2020-01-01T00:00:00+00:00"

Place = int | str
#: user, item, rating, ISO time or None, place
Rating = tuple[str, str, float, str | None, Place]
#: item, title, genres, whether a catalogue lists it
Item = tuple[str, str, tuple[str, ...], bool]


@dataclass(frozen=True)
class Accepted:
    """The batch is prepared. `items` None: those that were rated, by their ids; `merged`: rows added up into others."""

    ratings: set[Rating]
    quarantined: list[tuple[Place, str]] = field(default_factory=list)
    items: set[Item] | None = None
    splits: set[tuple[str, str, str]] = field(default_factory=set)
    merged: int = 0


@dataclass(frozen=True)
class Refused:
    """Nothing is prepared; the one sentence says these words."""

    words: str


@dataclass(frozen=True)
class Case:
    """A file or folder, how it is read (None: as it is recognised by itself), and what becomes of it."""

    name: str
    make: Maker
    reading: Source | None
    outcome: Accepted | Refused
    max_quarantined: float = 1.0


def csv(*, items: ItemsReading | None = None, **changes: Any) -> Source:
    """A CSV with user,item,rating,time; ratings of 0.5 to 5, seconds since 1970."""
    columns = {"user_id": "user", "item_id": "item", "rating": "rating", "rated_at": "time"}
    default = {"files": ("ratings*",), "columns": columns, "minimum": 0.5, "maximum": 5.0}
    return Source(name="corpus", ratings=RatingsReading(**(default | changes)), items=items)


def catalogue(**changes: Any) -> ItemsReading:
    """A CSV with id,title,genres."""
    columns = {"item_id": "id", "title": "title", "genres": "genres"}
    return ItemsReading(**({"files": ("items.csv",), "columns": columns} | changes))


def rows(*lines: str) -> str:
    """A file that begins with the header and the good rating."""
    return "\n".join((HEADER, GOOD_LINE, *lines, ""))


def rated(user: str, item: str, rating: float, place: Place, at: str | None = "2001-09-09T01:46:40+00:00") -> Rating:
    return (user, item, rating, at, place)


#: Recognised by itself, as one of the formats.
ITSELF = None

HEADER = "user,item,rating,time"
GOOD_LINE = "1,10,4.0,1000000000"
GOOD = rated("1", "10", 4.0, 2)
T = "1000000000"

IDS = {"user_id": "user", "item_id": "item"}
NO_TIMES = IDS | {"rating": "rating"}
ISO_TIMES = csv(time="iso")
BY_POSITION = {"user_id": "1", "item_id": "2", "rating": "3", "rated_at": "4"}
LINES = csv(layout="jsonl")
PARQUET = csv(layout="parquet")
ITEMS_HEADER = "id,title,genres\n"
MOVIELENS = "userId,movieId,rating,timestamp\n1,10,4.0,1000000000\n"

LINE_ENDS = [
    Case("empty_file", file(""), csv(), Refused("is empty (0 bytes)")),
    Case("header_only", file(HEADER + "\n"), csv(), Refused("holds no ratings")),
    Case("header_without_newline", file(HEADER), csv(), Refused("holds no ratings")),
    Case("blank_lines_only", file("\n\n\r\n\n"), csv(), Refused("no column 'user', 'item', 'rating', 'time'")),
    Case("blank_lines_between", file(rows("", "\r", "2,11,3.0," + T, "", "")), csv(),
         Accepted({GOOD, rated("2", "11", 3.0, 5)})),
    Case("byte_order_mark", file("\ufeff" + rows()), csv(), Accepted({GOOD})),
    Case("byte_order_mark_and_crlf", file("\ufeff" + rows("2,11,3.0," + T).replace("\n", "\r\n")), csv(),
         Accepted({GOOD, rated("2", "11", 3.0, 3)})),
    Case("carriage_returns_only", file(rows("2,11,3.0," + T, "3,12,9," + T).replace("\n", "\r")), csv(),
         Accepted({GOOD, rated("2", "11", 3.0, 3)}, [(4, "rating_out_of_range")])),
    Case("mixed_line_ends", file(f"{HEADER}\r\n{GOOD_LINE}\n2,11,3.0,{T}\r\n3,12,2.0,{T}"), csv(),
         Accepted({GOOD, rated("2", "11", 3.0, 3), rated("3", "12", 2.0, 4)})),
    Case("no_last_newline", file(rows("2,11,3.0," + T).rstrip("\n")), csv(),
         Accepted({GOOD, rated("2", "11", 3.0, 3)})),
    Case("cut_off_in_the_last_line", file(rows("2,11,3.0," + T, "3,12,2")[:-1]), csv(),
         Accepted({GOOD, rated("2", "11", 3.0, 3)}, [(4, "wrong_field_count")])),
]  # fmt: skip

LATIN_1 = rows("André,11,3.0," + T, "Zoë,12,2.0," + T).encode("latin-1")
ENCODINGS = [
    Case("nul_in_an_id", file(rows("2,1\0" + "1,3.0," + T, "3,12,2.0," + T)), csv(),
         Accepted({GOOD, rated("3", "12", 2.0, 4)}, [(3, "undecodable_text")])),
    Case("nul_bytes_after_a_crash", file(rows().encode() + bytes(4096)), csv(),
         Accepted({GOOD}, [(3, "undecodable_text")])),
    Case("utf16_read_as_utf8", file(rows().encode("utf-16")), csv(), Refused("line 1")),
    Case("utf16", file(rows("Zoë,映画,3.0," + T).encode("utf-16")), csv(encoding="utf-16"),
         Accepted({GOOD, rated("Zoë", "映画", 3.0, 3)})),
    Case("utf16_cut_off", file(rows("2,11,3.0," + T).encode("utf-16")[:-3]), csv(encoding="utf-16"),
         Accepted({GOOD}, [(3, "undecodable_text")])),
    Case("latin1_read_as_utf8", file(LATIN_1), csv(),
         Accepted({GOOD}, [(3, "undecodable_text"), (4, "undecodable_text")])),
    Case("latin1", file(LATIN_1), csv(encoding="latin-1"),
         Accepted({GOOD, rated("André", "11", 3.0, 3), rated("Zoë", "12", 2.0, 4)})),
    Case("encodings_mixed", file(rows("Zoë,11,3.0," + T).encode() + f"Zoë,12,2.0,{T}\n".encode("latin-1")), csv(),
         Accepted({GOOD, rated("Zoë", "11", 3.0, 3)}, [(4, "undecodable_text")])),
    Case("utf8_cut_off_in_a_letter", file(rows("Zoë").encode()[:-2]), csv(),
         Accepted({GOOD}, [(3, "undecodable_text")])),
    Case("half_a_surrogate", file(rows().encode() + b"\xed\xa0\x80,11,3.0,1\n"), csv(),
         Accepted({GOOD}, [(3, "undecodable_text")])),
    Case("unknown_encoding", file(rows()), csv(encoding="klingon"), Refused("'klingon' is no encoding")),
    Case("a_picture", file(png()), csv(), Refused("no column 'user'")),
    Case("a_picture_as_movielens", file(png()), ITSELF, Refused(r"begins with '\x89PNG'")),
]  # fmt: skip

WITH_COMMENT = HEADER + ",comment\n" + GOOD_LINE + ",\n"
MANY = [f"{n},11,3.0,{T}" for n in range(5_000)]
ALL_OF_MANY = {rated(str(n), "11", 3.0, n + 4) for n in range(5_000)}
QUOTES = [
    Case("quoted_header", file(rows().replace(HEADER, '"user","item","rating","time"')), csv(), Accepted({GOOD})),
    Case("quoted_everywhere", file(rows(f'"2","11","3.0","{T}"')), csv(), Accepted({GOOD, rated("2", "11", 3.0, 3)})),
    Case("separator_in_quotes", file(rows(f'"Doe, Jane","11,5",3.0,{T}')), csv(),
         Accepted({GOOD, rated("Doe, Jane", "11,5", 3.0, 3)})),
    Case("quotes_doubled", file(rows(f'2,"say ""hi""",3.0,{T}')), csv(),
         Accepted({GOOD, rated("2", 'say "hi"', 3.0, 3)})),
    Case("quotes_stray", file(rows(f'2,1"1,3.0,{T}', f'3,12",2.0,{T}', f"4,13,1.0,{T}")), csv(),
         Accepted({GOOD, rated("2", '1"1', 3.0, 3), rated("3", '12"', 2.0, 4), rated("4", "13", 1.0, 5)})),
    Case("quote_not_closed", file(rows(f'2,"11,3.0,{T}', f"3,12,2.0,{T}")), csv(),
         Accepted({GOOD, rated("3", "12", 2.0, 4)}, [(3, "unreadable_line")])),
    Case("quote_not_closed_in_the_last_line", file(rows(f'2,"11,3.0,{T}')), csv(),
         Accepted({GOOD}, [(3, "unreadable_line")])),
    Case("text_behind_the_closing_quote", file(rows(f'2,"11"x,3.0,{T}', f"3,12,2.0,{T}")), csv(),
         Accepted({GOOD, rated("3", "12", 2.0, 4)}, [(3, "unreadable_line")])),
    Case("two_stray_quotes_thousands_of_lines_apart", file(rows(f'2,"11,3.0,{T}', *MANY, f'3,"12,2.0,{T}')), csv(),
         Accepted({GOOD} | ALL_OF_MANY, [(3, "unreadable_line"), (5_004, "unreadable_line")])),
    Case("a_field_of_thousands_of_lines",
         file(WITH_COMMENT + f'2,11,3.0,{T},"' + "\n".join(MANY) + f'"\n3,12,2.0,{T},\n'), csv(),
         Accepted({GOOD, rated("2", "11", 3.0, 3), rated("3", "12", 2.0, 5_003)})),
    Case("newline_in_quotes", file(WITH_COMMENT + f'2,11,3.0,{T},"two\n\nlines, ""so"""\n3,12,2.0,{T},\n'), csv(),
         Accepted({GOOD, rated("2", "11", 3.0, 3), rated("3", "12", 2.0, 6)})),
    Case("crlf_in_quotes",
         file((WITH_COMMENT + f'2,11,3.0,{T},"two\nlines"\n3,12,2.0,{T},\n').replace("\n", "\r\n")), csv(),
         Accepted({GOOD, rated("2", "11", 3.0, 3), rated("3", "12", 2.0, 5)})),
    Case("newline_in_a_quoted_id", file(rows(f'2,"1\n1",3.0,{T}', f"3,12,2.0,{T}")), csv(),
         Accepted({GOOD, rated("3", "12", 2.0, 5)}, [(3, "unreadable_line"), (4, "wrong_field_count")])),
    Case("other_quote", file(rows(f"2,'1,1',3.0,{T}", f"3,'it''s',2.0,{T}", f'4,"13",1.0,{T}')), csv(quote="'"),
         Accepted({GOOD, rated("2", "1,1", 3.0, 3), rated("3", "it's", 2.0, 4), rated("4", '"13"', 1.0, 5)})),
    Case("no_quoting", file(rows(f'"2",1"1,3.0,{T}', f'3,"12,2.0,{T}')), csv(quote=""),
         Accepted({GOOD, rated('"2"', '1"1', 3.0, 3), rated("3", '"12', 2.0, 4)})),
]  # fmt: skip

TRAILING = [f"{n},11,3.0,{T}," for n in range(2, 6)]
FIELDS = [
    Case("too_few_fields", file(rows("2,11,3.0", "3", f"4,13,1.0,{T}")), csv(),
         Accepted({GOOD, rated("4", "13", 1.0, 5)}, [(3, "wrong_field_count"), (4, "wrong_field_count")])),
    Case("too_many_fields", file(rows(f"2,11,3.0,{T},more", f"3,12,4,5,{T}", f"4,13,1.0,{T}")), csv(),
         Accepted({GOOD, rated("4", "13", 1.0, 5)}, [(3, "wrong_field_count"), (4, "wrong_field_count")])),
    Case("comma_behind_every_line", file(rows(*TRAILING)), csv(),
         Refused("4 of 5 ratings (80.0%) break a rule, more than the 1.0% allowed (4 wrong_field_count)"), 0.01),
    Case("comma_behind_every_line_allowed", file(rows(*TRAILING)), csv(),
         Accepted({GOOD}, [(line, "wrong_field_count") for line in (3, 4, 5, 6)])),
    Case("comma_behind_every_line_and_the_header", file(f"{HEADER},\n{GOOD_LINE},\n"), csv(), Accepted({GOOD})),
    Case("header_names_a_column_twice", file(f"user,user,item,rating,time\n1,{GOOD_LINE}\n"), csv(),
         Refused("twice the column 'user'")),
    Case("header_names_another_column_twice", file(f"x,x,{HEADER}\n,,{GOOD_LINE}\n"), csv(), Accepted({GOOD})),
    Case("header_lacks_a_column", file("user,item,time\n1,10,5\n"), csv(), Refused("line 1: no column 'rating'")),
    Case("header_renames_a_column", file(rows().replace("rating", "stars")), csv(),
         Refused("line 1: no column 'rating'")),
    Case("more_columns_ignored", file(f"id,{HEADER},comment\n7,{GOOD_LINE},fine\n"), csv(), Accepted({GOOD})),
    Case("more_columns_refused", file(f"{HEADER},comment\n{GOOD_LINE},fine\n"), csv(other_columns="refuse"),
         Refused("unknown column 'comment'")),
    Case("header_in_other_case_and_spaced", file(rows().replace(HEADER, "User, ITEM ,rating,Time")), csv(),
         Accepted({GOOD})),
    Case("columns_in_another_order", file(f"time,rating,item,user\n{T},4.0,10,1\n"), csv(), Accepted({GOOD})),
    Case("header_again_in_the_middle", file(rows(HEADER, f"2,11,3.0,{T}")), csv(),
         Accepted({GOOD, rated("2", "11", 3.0, 4)}, [(3, "rating_not_a_number")])),
    Case("header_where_none_is_declared", file(rows()), csv(header=False, columns=BY_POSITION, n_fields=4),
         Accepted({GOOD}, [(1, "rating_not_a_number")])),
    Case("no_header_and_no_number_of_fields", file(f"{GOOD_LINE}\n2,11\n3,12,2.0,{T}\n"),
         csv(header=False, columns=BY_POSITION),
         Accepted({rated("1", "10", 4.0, 1), rated("3", "12", 2.0, 3)}, [(2, "wrong_field_count")])),
    Case("no_header_and_a_first_line_cut_off", file(f"1,10\n{GOOD_LINE}\n"), csv(header=False, columns=BY_POSITION),
         Refused("line 1: 2 fields, but a column is said to be field 4")),
    Case("no_header_where_one_is_declared", file(f"{GOOD_LINE}\n{GOOD_LINE}\n"), csv(), Refused("line 1: no column")),
    Case("other_separator_than_declared", file(rows().replace(",", ";")), csv(), Refused("line 1: no column 'user'")),
    Case("other_separator_than_declared_without_header", file(rows().replace(",", ";")),
         csv(header=False, columns=BY_POSITION, n_fields=4),
         Refused("2 of 2 ratings (100.0%) break a rule, more than the 1.0% allowed (2 wrong_field_count)"), 0.01),
    Case("tabs", file(rows(f" 2 ,1 1,3.0,{T}").replace(",", "\t")), csv(separator="\t"),
         Accepted({GOOD, rated(" 2 ", "1 1", 3.0, 3)})),
    Case("tabs_and_spaces_mixed", file(rows().replace(",", "\t") + f"2 11\t3.0\t{T}\n"), csv(separator="\t"),
         Accepted({GOOD}, [(3, "wrong_field_count")])),
    Case("separator_of_two_letters", file(rows(f"2:3,11,3.0,{T}", "4,12,2.0").replace(",", "::")), csv(separator="::"),
         Accepted({GOOD, rated("2:3", "11", 3.0, 3)}, [(4, "wrong_field_count")])),
    Case("thousands_of_columns", file(
             ",".join([f"x{n}" for n in range(3_000)] + [HEADER]) + "\n" + "," * 3_000 + GOOD_LINE + "\n"
             + "1," * 3_000 + f"2,11,3.0,{T}\n" + "1," * 2_999 + f"3,12,2.0,{T}\n"), csv(),
         Accepted({GOOD, rated("2", "11", 3.0, 3)}, [(4, "wrong_field_count")])),
    Case("a_line_of_5_mb",
         large(lambda: [WITH_COMMENT.encode(), f"2,11,3.0,{T},".encode(), b"x" * 5_000_000, b"\n"]), csv(),
         Accepted({GOOD, rated("2", "11", 3.0, 3)})),
    Case("a_line_of_70_mb",
         large(lambda: [WITH_COMMENT.encode(), f"2,11,3.0,{T},".encode(), b"x" * 70_000_000, b"\n"]), csv(),
         Refused("line is longer than 64 MB")),
]  # fmt: skip

ODD_IDS = (
    "007", "7", "7.0", "0x7", "1e3", "+7", "-7", "null", "NULL", "NA", "N/A", "nan", "None", "true", "#N/A", "-", "''",
    " 7", "7 ", "New  York", "jane.doe+x@example.org", "123e4567-e89b-12d3-a456-426614174000",
    "9223372036854775808", "123456789012345678901234567890", "e\u0301", "\u00e9", "ﬁ", "👩‍👩‍👧‍👦", "ไทย", "مرحبا",
    "😀" * 256, "x" * 256, "=1+1", "\u200b", "../../etc", "a\\nb", "%s%n", "\x07", "a\x85b", "a\u2028b", "C:\\x",
    "<b>", "'; --",
)  # fmt: skip
IDENTIFIERS = [
    Case("odd_users", file(rows(*(f"{odd},11,3.0,{T}" for odd in ODD_IDS))), csv(),
         Accepted({GOOD} | {rated(odd, "11", 3.0, at) for at, odd in enumerate(ODD_IDS, 3)})),
    Case("odd_items", file(rows(*(f"2,{odd},3.0,{T}" for odd in ODD_IDS))), csv(),
         Accepted({GOOD} | {rated("2", odd, 3.0, at) for at, odd in enumerate(ODD_IDS, 3)})),
    Case("ids_of_no_letters", file(rows(f",11,3.0,{T}", f"  ,11,3.0,{T}", f"2,,3.0,{T}", f'2,"",3.0,{T}',
                                        f"2,\t,3.0,{T}", f"2,\u00a0,3.0,{T}", ",,,")), csv(),
         Accepted({GOOD}, [(3, "missing_user_id"), (4, "missing_user_id"), (5, "missing_item_id"),
                           (6, "missing_item_id"), (7, "missing_item_id"), (8, "missing_item_id"),
                           (9, "missing_user_id")])),
    Case("ids_too_long", file(rows(f"{'u' * 257},11,3.0,{T}", f"2,{'é' * 257},3.0,{T}")), csv(),
         Accepted({GOOD}, [(3, "user_id_too_long"), (4, "item_id_too_long")])),
    Case("an_id_of_5_mb", large(lambda: [rows().encode(), b"2,", b"x" * 5_000_000, f",3.0,{T}\n".encode()]), csv(),
         Accepted({GOOD}, [(3, "item_id_too_long")])),
    Case("all_rules_broken_at_once", file(rows(",,x,y", f"{'u' * 257},11,nan,-1")), csv(),
         Accepted({GOOD}, [(3, "missing_user_id"), (4, "rating_not_finite")])),
]  # fmt: skip


def with_ratings(*ratings: str) -> Maker:
    return file(rows(*(f"2,{at},{rating},{T}" for at, rating in enumerate(ratings, 3))))


def accepted_ratings(*ratings: float) -> Accepted:
    return Accepted({GOOD} | {rated("2", str(at), rating, at) for at, rating in enumerate(ratings, 3)})


def all_refused(reason: str, n: int) -> Accepted:
    return Accepted({GOOD}, [(at, reason) for at in range(3, 3 + n)])


RATINGS = [
    Case("ratings_missing", with_ratings("", " ", '""'), csv(), all_refused("missing_rating", 3)),
    Case("ratings_that_are_none",
         with_ratings("good", "0x10", '"4,5"', "4 5", "1_0", "--4", "4/5", "٤", "1e", ".", "+", "★★★", "null", "true"),
         csv(), all_refused("rating_not_a_number", 14)),
    Case("ratings_without_end", with_ratings("NaN", "nan", "inf", "-Infinity", "1e999", "-1e999"), csv(),
         all_refused("rating_not_finite", 6)),
    Case("ratings_outside_the_scale", with_ratings("0", "0.4999", "5.0001", "-4", "40", "1e308"), csv(),
         all_refused("rating_out_of_range", 6)),
    Case("ratings_at_the_borders_and_in_odd_spellings",
         with_ratings("0.5", "5", "4.", ".5", "+4", " 4 ", "4e0", "40E-1", "004", "4.0000000000000000000001"), csv(),
         accepted_ratings(0.5, 5.0, 4.0, 0.5, 4.0, 4.0, 4.0, 4.0, 4.0, 4.0)),
    Case("ratings_with_decimal_commas", file(rows("2;11;4,5;" + T).replace(GOOD_LINE, GOOD_LINE.replace(",", ";"))
                                             .replace(HEADER, HEADER.replace(",", ";"))), csv(separator=";"),
         Accepted({GOOD}, [(3, "rating_not_a_number")])),
    Case("a_scale_through_zero", with_ratings("-10", "-0.0", "10", "0"), csv(minimum=-10, maximum=10),
         accepted_ratings(-10.0, 0.0, 10.0, 0.0)),
    Case("a_scale_through_zero_left", with_ratings("-10.5", "11"), csv(minimum=-10, maximum=10),
         all_refused("rating_out_of_range", 2)),
    Case("counts_without_a_scale", with_ratings("0", "1", "250000", "1e15", "-3"), csv(minimum=None, maximum=None),
         accepted_ratings(0.0, 1.0, 250_000.0, 1e15, -3.0)),
    Case("no_ratings_at_all", file("user,item,time\n1,10,1000000000\n2,11,1000000000\n"),
         csv(columns=IDS | {"rated_at": "time"}, minimum=None, maximum=None),
         Accepted({rated("1", "10", 1.0, 2), rated("2", "11", 1.0, 3)})),
    Case("all_rows_bad", file(f"{HEADER}\n" + f"2,11,bad,{T}\n" * 3), csv(),
         Refused("3 of 3 ratings (100.0%) break a rule, more than the 1.0% allowed (3 rating_not_a_number)"), 0.01),
    Case("more_bad_rows_than_allowed", file(rows(*(f"{n},11,3.0,{T}" for n in range(2, 99)), "x,x,x,x", "y,y,y,y")),
         csv(), Refused("2 of 100 ratings (2.0%) break a rule, more than the 1.0% allowed (2 rating_not_a_number)"),
         0.01),
    Case("just_as_many_bad_rows_as_allowed", file(rows(*(f"{n},11,3.0,{T}" for n in range(2, 100)), "x,x,x,x")), csv(),
         Accepted({GOOD} | {rated(str(n), "11", 3.0, n + 1) for n in range(2, 100)}, [(101, "rating_not_a_number")]),
         0.01),
]  # fmt: skip


def with_times(*times: str) -> Maker:
    return file(rows(*(f"2,{at},3.0,{time}" for at, time in enumerate(times, 3))))


def timed(*times: str) -> Accepted:
    return Accepted({GOOD} | {rated("2", str(at), 3.0, at, time) for at, time in enumerate(times, 3)})


def in_unit(unit: str, *times: str) -> Maker:
    """A file of times in another unit; the good rating has a time of it, too."""
    lines = (f"2,{at},3.0,{time}" for at, time in enumerate(times, 3))
    return file("\n".join((HEADER, f"1,10,4.0,{unit}", *lines, "")))


TIMES = [
    Case("times_missing", with_times("", "  "), csv(), all_refused("missing_rated_at", 2)),
    Case("times_that_are_none",
         with_times("yesterday", "-1", "2001-01-01", "1_000", "nan", "0x10", "-1e9", "inf", "1 000"), csv(),
         all_refused("bad_time", 9)),
    Case("times_in_the_future", with_times("1577836801", "4102444800", "9999999999", "1577836800.5"), csv(),
         all_refused("future_time", 4)),
    Case("milliseconds_where_seconds_are_declared", with_times("1000000000000", "1577836800000"), csv(),
         all_refused("future_time", 2)),
    Case("nanoseconds_where_seconds_are_declared", with_times("1000000000000000000", "9" * 30), csv(),
         all_refused("future_time", 2)),
    Case("times_at_the_borders_and_in_odd_spellings",
         with_times("0", "1577836800", "1000000000.0", "1000000000.25", "1e9", " 1000000000 ", "0001000000000"), csv(),
         timed("1970-01-01T00:00:00+00:00", "2020-01-01T00:00:00+00:00", "2001-09-09T01:46:40+00:00",
               "2001-09-09T01:46:40.250000+00:00", "2001-09-09T01:46:40+00:00", "2001-09-09T01:46:40+00:00",
               "2001-09-09T01:46:40+00:00")),
    Case("milliseconds", in_unit("1000000000000", "1000000000250"), csv(time="ms"),
         timed("2001-09-09T01:46:40.250000+00:00")),
    Case("microseconds", in_unit("1000000000000000", "1000000000000001"), csv(time="us"),
         timed("2001-09-09T01:46:40.000001+00:00")),
    Case("nanoseconds", in_unit("1000000000000000000", "1000000000000001999"), csv(time="ns"),
         timed("2001-09-09T01:46:40.000001+00:00")),
    Case("iso_times",
         in_unit("2001-09-09T01:46:40Z", "2001-09-09T03:46:40+02:00", "2001-09-08 21:46:40-04:00", "2001-09-09",
                 "2001-09-09 01:46:40", "2001-09-09T01:46:40.123456", "2004-02-29", "20010909T014640Z"), ISO_TIMES,
         timed("2001-09-09T01:46:40+00:00", "2001-09-09T01:46:40+00:00", "2001-09-09T00:00:00+00:00",
               "2001-09-09T01:46:40+00:00", "2001-09-09T01:46:40.123456+00:00", "2004-02-29T00:00:00+00:00",
               "2001-09-09T01:46:40+00:00")),
    Case("iso_times_of_no_calendar",
         in_unit("2001-09-09T01:46:40Z", "2001-02-29", "2001-13-01", "2001-04-31T00:00:00Z", "2001-09-09T25:00:00Z",
                 "1969-12-31T23:59:59Z", "1970-01-01T00:30:00+01:00", "soon", "01/02/2003", "0000-00-00"), ISO_TIMES,
         all_refused("bad_time", 9)),
    Case("iso_times_in_the_future", in_unit("2001-09-09T01:46:40Z", "2020-01-01T00:00:01Z", "9999-12-31"), ISO_TIMES,
         all_refused("future_time", 2)),
    Case("times_by_a_pattern", in_unit("09/09/2001 01:46:40", "29/02/2004 12:00:00"), csv(time="%d/%m/%Y %H:%M:%S"),
         timed("2004-02-29T12:00:00+00:00")),
    Case("times_against_a_pattern",
         in_unit("09/09/2001 01:46:40", "30/02/2001 00:00:00", "09/13/2001 00:00:00", "2001-09-09 01:46:40", T),
         csv(time="%d/%m/%Y %H:%M:%S"), all_refused("bad_time", 4)),
    Case("no_times_at_all", file("user,item,rating\n1,10,4.0\n2,11,3.0\n"), csv(columns=NO_TIMES),
         Accepted({rated("1", "10", 4.0, 2, None), rated("2", "11", 3.0, 3, None)})),
]  # fmt: skip

LATER, LATEST = "2001-09-09T01:46:41+00:00", "2001-09-09T01:46:42+00:00"
EVENTS = csv(columns=NO_TIMES, minimum=None, maximum=None, repeated="sum")
DUPLICATES = [
    Case("rated_again_later", file(rows("1,10,2.0,1000000001")), csv(),
         Accepted({rated("1", "10", 2.0, 3, LATER)}, [(2, "superseded")])),
    Case("rated_again_later_but_listed_before", file(rows("2,11,2.0,1000000001", "2,11,3.0,1000000000")), csv(),
         Accepted({GOOD, rated("2", "11", 2.0, 3, LATER)}, [(4, "superseded")])),
    Case("the_same_row_again", file(rows(GOOD_LINE, GOOD_LINE)), csv(),
         Accepted({rated("1", "10", 4.0, 4)}, [(2, "duplicate"), (3, "duplicate")])),
    Case("another_rating_at_the_same_time", file(rows("1,10,2.0,1000000000")), csv(),
         Accepted({rated("1", "10", 2.0, 3)}, [(2, "conflicting_duplicate")])),
    Case("duplicates_of_all_kinds",
         file(rows("1,10,5.0,1000000002", "1,10,1.0,1000000002", "1,10,5.0,1000000002", "1,10,2.0,1000000001")), csv(),
         Accepted({rated("1", "10", 5.0, 5, LATEST)},
                  [(2, "superseded"), (3, "duplicate"), (4, "conflicting_duplicate"), (6, "superseded")])),
    Case("a_bad_row_supersedes_nothing", file(rows("1,10,9.0,1000000001")), csv(),
         Accepted({GOOD}, [(3, "rating_out_of_range")])),
    Case("the_same_rating_in_other_spelling", file(rows("1,10,4,1000000000")), csv(),
         Accepted({rated("1", "10", 4.0, 3)}, [(2, "duplicate")])),
    Case("duplicates_across_files",
         files({"ratings-1.csv": rows("2,11,3.0,1000000001", f"3,12,1.0,{T}"),
                "ratings-2.csv": rows(f"2,11,5.0,{T}", f"3,12,2.0,{T}")}), csv(),
         Accepted({rated("1", "10", 4.0, "ratings-2.csv:2"), rated("2", "11", 3.0, "ratings-1.csv:3", LATER),
                   rated("3", "12", 2.0, "ratings-2.csv:4")},
                  [("ratings-1.csv:2", "duplicate"), ("ratings-2.csv:3", "superseded"),
                   ("ratings-1.csv:4", "conflicting_duplicate")])),
    Case("duplicates_without_times", file("user,item,rating\n1,10,4.0\n2,11,3.0\n1,10,2.0\n2,11,3.0\n"),
         csv(columns=NO_TIMES),
         Accepted({rated("1", "10", 2.0, 4, None), rated("2", "11", 3.0, 5, None)},
                  [(2, "superseded"), (3, "duplicate")])),
    Case("events_add_up", file("user,item,rating\n1,10,2\n2,11,1\n1,10,3\n1,10,x\n1,10,1\n"), EVENTS,
         Accepted({rated("1", "10", 6.0, 6, None), rated("2", "11", 1.0, 3, None)}, [(5, "rating_not_a_number")],
                  merged=2)),
    Case("events_without_counts_add_up", file("user,item\n1,10\n2,11\n1,10\n"),
         csv(columns=IDS, minimum=None, maximum=None, repeated="sum"),
         Accepted({rated("1", "10", 2.0, 4, None), rated("2", "11", 1.0, 3, None)}, merged=1)),
    Case("events_with_times_add_up_to_the_last",
         file(rows("1,10,2.0,1000000001", "1,10,1.5,1000000000")),
         csv(minimum=None, maximum=None, repeated="sum"),
         Accepted({rated("1", "10", 7.5, 3, LATER)}, merged=2)),
]  # fmt: skip


def with_items(listed: bytes | str, ratings: str = rows()) -> Maker:
    return files({"items.csv": listed, "ratings.csv": ratings})


ITEMS = [
    Case("item_that_no_catalogue_lists", with_items(ITEMS_HEADER + "11,Heat,Crime|Drama\n"), csv(items=catalogue()),
         Accepted({rated("1", "10", 4.0, "ratings.csv:2")},
                  items={("10", "10", (), False), ("11", "Heat", ("Crime", "Drama"), True)})),
    Case("item_that_a_complete_catalogue_lacks",
         with_items(ITEMS_HEADER + "10,Alien,Horror\n", rows(f"2,11,3.0,{T}", f"2, 10,3.0,{T}")),
         csv(items=catalogue(is_complete=True)),
         Accepted({rated("1", "10", 4.0, "ratings.csv:2")},
                  [("ratings.csv:3", "unknown_item"), ("ratings.csv:4", "unknown_item")],
                  items={("10", "Alien", ("Horror",), True)})),
    Case("a_complete_catalogue_that_is_empty", with_items(ITEMS_HEADER), csv(items=catalogue(is_complete=True)),
         Refused("1 of 1 ratings (100.0%) break a rule, more than the 1.0% allowed (1 unknown_item)"), 0.01),
    Case("item_listed_twice", with_items(ITEMS_HEADER + "10,Alien,Horror\n11,Heat,\n10,Alien (1979),Sci-Fi\n"),
         csv(items=catalogue()),
         Accepted({rated("1", "10", 4.0, "ratings.csv:2")}, [("items.csv:2", "superseded")],
                  items={("10", "Alien (1979)", ("Sci-Fi",), True), ("11", "Heat", (), True)})),
    Case("item_listed_twice_the_same", with_items(ITEMS_HEADER + "10,Alien,Horror\n10,Alien,Horror\n"),
         csv(items=catalogue()),
         Accepted({rated("1", "10", 4.0, "ratings.csv:2")}, [("items.csv:2", "duplicate")],
                  items={("10", "Alien", ("Horror",), True)})),
    Case("items_without_title_or_id", with_items(ITEMS_HEADER + "10,,Horror\n,Heat,\n11, ,\n12\n"),
         csv(items=catalogue()),
         Accepted({rated("1", "10", 4.0, "ratings.csv:2")},
                  [("items.csv:2", "missing_title"), ("items.csv:3", "missing_item_id"),
                   ("items.csv:4", "missing_title"), ("items.csv:5", "wrong_field_count")],
                  items={("10", "10", (), False)})),
    Case("titles_with_commas_quotes_and_newlines",
         with_items(ITEMS_HEADER + '10,"Good, the Bad ""and""\nthe Ugly, The",\n11,  Léon  ,Crime\n'),
         csv(items=catalogue()),
         Accepted({rated("1", "10", 4.0, "ratings.csv:2")},
                  items={("10", 'Good, the Bad "and"\nthe Ugly, The', (), True),
                         ("11", "  Léon  ", ("Crime",), True)})),
    Case("items_in_another_encoding", with_items((ITEMS_HEADER + "10,Léon,\n11,Heat,\n").encode("latin-1")),
         csv(items=catalogue()),
         Accepted({rated("1", "10", 4.0, "ratings.csv:2")}, [("items.csv:2", "undecodable_text")],
                  items={("10", "10", (), False), ("11", "Heat", (), True)})),
    Case("movielens_genres",
         files({"ratings.csv": MOVIELENS,
                "movies.csv": "movieId,title,genres\n10,Heat,(no genres listed)\n11,X,A|B\n"}),
         ITSELF,
         Accepted({rated("1", "10", 4.0, "ratings.csv:2")},
                  items={("10", "Heat", (), True), ("11", "X", ("A", "B"), True)})),
]  # fmt: skip

GOOD_JSON = '{"user":"1","item":"10","rating":4.0,"time":1000000000}'
GOOD_1 = rated("1", "10", 4.0, 1)
JSON_LINES = [
    Case("json_broken", file(f'{GOOD_JSON}\n{{"user":"2","item":\n\n{{"user":"3"}}}}\n{{}}{{}}\n\'x\'\n'), LINES,
         Accepted({GOOD_1}, [(2, "unreadable_line"), (4, "unreadable_line"), (5, "unreadable_line"),
                             (6, "unreadable_line")])),
    Case("json_but_no_objects", file(f'{GOOD_JSON}\n["2","11",3.0,1]\n7\n"x"\nnull\n'), LINES,
         Accepted({GOOD_1}, [(line, "unreadable_line") for line in (2, 3, 4, 5)])),
    Case("json_array_over_lines", file(f"[\n{GOOD_JSON},\n{GOOD_JSON}\n]\n"), LINES,
         Refused("break a rule, more than the 1.0% allowed"), 0.01),
    Case("json_numbers_as_ids",
         file('{"user":7,"item":123456789012345678901234567890,"rating":"3.5","time":"1000000000"}\n'
              '{"user":1.0,"item":1e2,"rating":3,"time":1e9}\n{"user":true,"item":-0,"rating":3,"time":1000000000.0}\n'),
         LINES,
         Accepted({rated("7", "123456789012345678901234567890", 3.5, 1), rated("1.0", "1e2", 3.0, 2),
                   rated("true", "-0", 3.0, 3)})),
    Case("json_nulls_and_missing_keys",
         file(f'{GOOD_JSON}\n{{"item":"11","rating":3,"time":1}}\n{{"user":"2","item":null,"rating":3,"time":1}}\n'
              '{"user":"2","item":"11","rating":null,"time":1}\n{"user":"2","item":"11","rating":3}\n{}\n'), LINES,
         Accepted({GOOD_1}, [(2, "missing_user_id"), (3, "missing_item_id"), (4, "missing_rating"),
                             (5, "missing_rated_at"), (6, "missing_user_id")])),
    Case("json_nested",
         file('{"by":{"id":"1"},"of":{"film":{"id":"10"}},"stars":4.0,"at":1000000000}\n'
              '{"by":"2","of":{"film":{"id":"10"}},"stars":4.0,"at":1000000000}\n'),
         csv(layout="jsonl",
             columns={"user_id": "by.id", "item_id": "of.film.id", "rating": "stars", "rated_at": "at"}),
         Accepted({GOOD_1}, [(2, "missing_user_id")])),
    Case("json_odd_values",
         file(f'{GOOD_JSON}\n{{"user":"2","item":"11","rating":NaN,"time":1}}\n'
              '{"user":"2","item":"11","rating":"x","time":1}\n{"user":"2","item":"11","rating":3,"time":[1]}\n'
              '{"user":"\\u00e9\\ud83d\\ude00","item":"a,b\\"c","rating":3,"time":1000000000,"more":{"x":[1,2]}}\n'),
         LINES,
         Accepted({GOOD_1, rated('é😀', 'a,b"c', 3.0, 5)},
                  [(2, "rating_not_finite"), (3, "rating_not_a_number"), (4, "bad_time")])),
    Case("json_objects_as_ids",
         file(f'{GOOD_JSON}\n{{"user":{{"id":2}},"item":["11"],"rating":3,"time":1000000000}}\n'), LINES,
         Accepted({GOOD_1}, [(2, "unreadable_line")])),
    Case("json_half_a_surrogate", file(f'{GOOD_JSON}\n{{"user":"\\ud83d","item":"11","rating":3,"time":1}}\n'), LINES,
         Accepted({GOOD_1}, [(2, "undecodable_text")])),
    Case("json_nested_without_end", file(GOOD_JSON + "\n" + "[" * 100_000 + "\n"), LINES,
         Accepted({GOOD_1}, [(2, "unreadable_line")])),
    Case("json_with_mark_and_crlf", file("\ufeff" + GOOD_JSON + "\r\n\r\n"), LINES, Accepted({GOOD_1})),
]  # fmt: skip

TYPED = {
    "user": pa.array([1, 9223372036854775807], pa.int64()),
    "item": pa.array(["10", "011"]),
    "rating": pa.array([4.0, 3.5], pa.float32()),
    "time": pa.array([1_000_000_000_000_000, 1_000_000_001_000_000], pa.timestamp("us", tz="Europe/Berlin")),
}
TEXTS = {
    "user": pa.array(["1", " 2 ", "3"]),
    "item": pa.array(["10", "11", "12"]).dictionary_encode(),
    "rating": pa.array(["4.0", "x", "9"]),
    "time": pa.array(["1000000000", "1000000000", "1000000000"]),
}
NULLS = {
    "user": pa.array(["1", None, "2", "2", "2"]),
    "item": pa.array(["10", "11", None, "11", "11"]),
    "rating": pa.array([4.0, 3.0, 3.0, None, float("nan")]),
    "time": pa.array([1_000_000_000, 1, 1, 1, 1]),
}
PARQUET_FILES = [
    Case("parquet_typed", file(parquet(TYPED), "ratings.parquet"), PARQUET,
         Accepted({GOOD_1, rated("9223372036854775807", "011", 3.5, 2, LATER)})),
    Case("parquet_texts", file(parquet(TEXTS), "ratings.parquet"), PARQUET,
         Accepted({GOOD_1}, [(2, "rating_not_a_number"), (3, "rating_out_of_range")])),
    Case("parquet_nulls", file(parquet(NULLS), "ratings.parquet"), PARQUET,
         Accepted({GOOD_1}, [(2, "missing_user_id"), (3, "missing_item_id"), (4, "missing_rating"),
                             (5, "rating_not_finite")])),
    Case("parquet_of_no_rows", file(parquet({name: column[:0] for name, column in TYPED.items()}), "ratings.parquet"),
         PARQUET, Refused("holds no ratings")),
    Case("parquet_cut_off", file(parquet(TYPED)[:-200], "ratings.parquet"), PARQUET,
         Refused("can't be read as Parquet")),
    Case("parquet_without_a_column", file(parquet({"user": TYPED["user"], "item": TYPED["item"]}), "ratings.parquet"),
         PARQUET, Refused("no column 'rating', 'time'")),
    Case("parquet_with_other_types",
         file(parquet({"user": pa.array([1.5]), "item": pa.array([True]), "rating": pa.array([b"4.0"]),
                       "time": pa.array([1e9])}), "ratings.parquet"),
         PARQUET, Accepted({rated("1.5", "true", 4.0, 1)})),
    Case("parquet_that_is_csv", file(rows(), "ratings.parquet"), PARQUET, Refused("can't be read as Parquet")),
]  # fmt: skip

AUGUST = "2005-08-01T00:00:00+00:00"
TITLES = "1,2003,Dinosaur Planet\n2,NULL,Isle of Man TT, 2004: Review, The\n3,1997,Les Misérables\n".encode("latin-1")
TITLED = {("1", "Dinosaur Planet", (), True), ("2", "Isle of Man TT, 2004: Review, The", (), True),
          ("3", "Les Misérables", (), True)}  # fmt: skip


def netflix(ratings: str, **others: bytes | str) -> Maker:
    return files({"combined_data_1.txt": ratings, **{f"{name}.txt": data for name, data in others.items()}})


def first(user: str, item: str, rating: float, line: int) -> Rating:
    return rated(user, item, rating, f"combined_data_1.txt:{line}", AUGUST)


NETFLIX = [
    Case("netflix_titles_with_commas_and_no_year",
         files({"combined_data_1.txt": "1:\n7,3,2005-08-01\n2:\n7,4,2005-08-01\n8,5,2005-08-01\n",
                "movie_titles.csv": TITLES, "probe.txt": "2:\n7\n8\n"}), ITSELF,
         Accepted({first("7", "1", 3.0, 2), first("7", "2", 4.0, 4), first("8", "2", 5.0, 5)}, items=TITLED,
                  splits={("probe", "7", "2"), ("probe", "8", "2")})),
    Case("netflix_ratings_before_any_section", netflix("7,3,2005-08-01\n1:\n8,5,2005-08-01\n"), ITSELF,
         Accepted({first("8", "1", 5.0, 3)}, [("combined_data_1.txt:1", "unreadable_line")])),
    Case("netflix_bad_sections",
         netflix("1:\n7,3,2005-08-01\n:\n8,3,2005-08-01\n2\n9,3,2005-08-01\n2:,\n3:\n4:\n8,5,2005-08-01\n"), ITSELF,
         Accepted({first("7", "1", 3.0, 2), first("8", "4", 5.0, 10)},
                  [("combined_data_1.txt:4", "missing_item_id"), ("combined_data_1.txt:5", "wrong_field_count"),
                   ("combined_data_1.txt:6", "missing_item_id"), ("combined_data_1.txt:7", "wrong_field_count")])),
    Case("netflix_bad_rows", netflix("1:\n7,3\n8,6,2005-08-01\n9,4,2005-02-29\n,4,2005-08-01\n6,5,2005-08-01\r\n"),
         ITSELF,
         Accepted({first("6", "1", 5.0, 6)},
                  [("combined_data_1.txt:2", "wrong_field_count"), ("combined_data_1.txt:3", "rating_out_of_range"),
                   ("combined_data_1.txt:4", "bad_time"), ("combined_data_1.txt:5", "missing_user_id")])),
    Case("netflix_one_movie_a_file",
         files({"mv_0000001.txt": "1:\n7,3,2005-08-01\n", "mv_0000002.txt": "2:\n7,4,2005-08-01\n"}), ITSELF,
         Accepted({rated("7", "1", 3.0, "mv_0000001.txt:2", AUGUST),
                   rated("7", "2", 4.0, "mv_0000002.txt:2", AUGUST)})),
    Case("netflix_bad_probe",
         netflix("1:\n7,3,2005-08-01\n", probe="8\n1:\n7\n\n,\n" + "x" * 257 + "\n7\n"), ITSELF,
         Accepted({first("7", "1", 3.0, 2)},
                  [("probe.txt:1", "unreadable_line"), ("probe.txt:3", "duplicate"),
                   ("probe.txt:5", "wrong_field_count"), ("probe.txt:6", "user_id_too_long")],
                  splits={("probe", "7", "1")})),
]  # fmt: skip

BASKETS = [
    Case("baskets", file("whole milk,yogurt\n\nbeer\n", "shop.basket"), ITSELF,
         Accepted({rated("1", "whole milk", 1.0, 1, None), rated("1", "yogurt", 1.0, 1, None),
                   rated("3", "beer", 1.0, 3, None)})),
    Case("baskets_with_holes", file('milk,,beer\n,\n  \n milk ,"a, b"\n"x,beer\n', "shop.basket"), ITSELF,
         Accepted({rated("1", "milk", 1.0, 1, None), rated("1", "beer", 1.0, 1, None),
                   rated("4", " milk ", 1.0, 4, None), rated("4", "a, b", 1.0, 4, None)},
                  [(1, "missing_item_id"), (2, "missing_item_id"), (3, "missing_item_id"), (5, "unreadable_line")])),
    Case("baskets_with_an_item_twice", file("milk,beer,milk\n", "shop.basket"), ITSELF,
         Accepted({rated("1", "milk", 1.0, 1, None), rated("1", "beer", 1.0, 1, None)}, [(1, "duplicate")])),
]  # fmt: skip

PACKED = [
    Case("gzip", file(gz(rows()), "ratings.csv.gz"), csv(), Accepted({GOOD})),
    Case("bzip2", file(bz(rows()), "ratings.csv.bz2"), csv(), Accepted({GOOD})),
    Case("xz", file(xz(rows()), "ratings.csv.xz"), csv(), Accepted({GOOD})),
    Case("zstd", file(zst(rows()), "ratings.csv.zst"), csv(), Accepted({GOOD})),
    Case("gzip_that_does_not_say_so", file(gz(rows())), csv(), Accepted({GOOD})),
    Case("gzip_in_two_pieces", file(gz(rows()) + gz(f"2,11,3.0,{T}\n"), "ratings.csv.gz"), csv(),
         Accepted({GOOD, rated("2", "11", 3.0, 3)})),
    Case("no_gzip_that_says_so", file(rows(), "ratings.csv.gz"), csv(), Accepted({GOOD})),
    Case("gzip_cut_off", file(gz(rows(*MANY))[:-400], "ratings.csv.gz"), csv(), Refused("cut off or damaged")),
    Case("gzip_with_a_wrong_sum", file(damaged(gz(rows()), -6), "ratings.csv.gz"), csv(),
         Refused("cut off or damaged")),
    Case("gzip_of_nothing", file(gz(""), "ratings.csv.gz"), csv(), Refused("holds no ratings")),
    Case("zstd_cut_off", file(zst(rows(*MANY))[:-400], "ratings.csv.zst"), csv(), Refused("cut off or damaged")),
    Case("xz_damaged", file(damaged(xz(rows(*MANY)), 600), "ratings.csv.xz"), csv(), Refused("cut off or damaged")),
    Case("zip", file(zip_of({"data/ratings.csv": rows()}), "all.zip"), csv(), Accepted({GOOD})),
    Case("zip_encrypted", file(encrypted(zip_of({"ratings.csv": rows()})), "all.zip"), csv(), Refused("encrypted")),
    Case("zip_with_a_broken_member", file(damaged(zip_of({"ratings.csv": rows(*MANY)}), 600), "all.zip"), csv(),
         Refused("cut off or damaged")),
    Case("zip_cut_off", file(zip_of({"ratings.csv": rows(*MANY)})[:-30], "all.zip"), csv(),
         Refused("cut off or damaged")),
    Case("zip_of_nothing_understood", file(zip_of({"notes.txt": "hello", "a/b.doc": "x"}), "all.zip"), ITSELF,
         Refused("holds no ratings that are understood")),
    Case("zip_of_nothing", file(zip_of({}), "all.zip"), ITSELF, Refused("no files")),
    # Names in archives are only compared and shown, never used as paths.
    Case("zip_that_leads_out_of_its_folder", file(zip_of({"../../ratings.csv": rows()}), "all.zip"), csv(),
         Accepted({GOOD})),
    Case("tar", file(tar_of({"data/ratings.csv": rows()}), "all.tar"), csv(), Accepted({GOOD})),
    Case("tar_gz", file(gz(tar_of({"ratings.csv": gz(rows())})), "all.tgz"), csv(), Accepted({GOOD})),
    Case("tar_cut_off", file(tar_of({"ratings.csv": rows(*MANY)})[:60_000], "all.tar"), csv(),
         Refused("cut off or damaged")),
    Case("tar_gz_cut_off", file(gz(tar_of({"ratings.csv": rows(*MANY)}))[:-300], "all.tar.gz"), csv(),
         Refused("cut off or damaged")),
    Case("seven_zip", file(b"7z\xbc\xaf\x27\x1c" + bytes(100), "ratings.csv"), csv(), Refused("7-Zip")),
    Case("folder_of_nothing_understood", files({"notes.txt": "hello"}), ITSELF, Refused("found notes.txt")),
    Case("folder_with_an_empty_part", files({"ratings-1.csv": rows(), "ratings-2.csv": ""}), csv(), Accepted({GOOD})),
    Case("folder_of_empty_parts", files({"ratings-1.csv": "", "ratings-2.csv": ""}), csv(), Refused("empty")),
    Case("folder_of_packed_parts",
         files({"ratings-1.csv.gz": gz(rows()), "ratings-2.csv.zst": zst(rows().replace("1,10", "2,11"))}), csv(),
         Accepted({rated("1", "10", 4.0, "ratings-1.csv.gz:2"), rated("2", "11", 4.0, "ratings-2.csv.zst:2")})),
    Case("folder_whose_parts_have_other_headers",
         files({"ratings-1.csv": rows(), "ratings-2.csv": rows().replace("rating", "stars")}), csv(),
         Refused("no column 'rating'")),
]  # fmt: skip

CASES = [
    *LINE_ENDS, *ENCODINGS, *QUOTES, *FIELDS, *IDENTIFIERS, *RATINGS, *TIMES, *DUPLICATES, *ITEMS, *JSON_LINES,
    *PARQUET_FILES, *NETFLIX, *BASKETS, *PACKED,
]  # fmt: skip
