"""Which column is the user, the item, the rating and the time: by the columns' names, else by their values."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

from marquee.errors import SourceError
from marquee.sources.inspection.guesses import Confidence, Guess, Question
from marquee.sources.inspection.names import Role, role_of, tells_of_something_else
from marquee.sources.inspection.scale import Scale, scale_of
from marquee.sources.inspection.table import Table, is_number
from marquee.sources.inspection.times import TimeGuess, time_of

#: Names that a question lists, at most.
LISTED = 6
#: Different values that ratings have, at most: a scale from 0 to 100, or -10 to 10 in halves.
MOST_RATINGS = 101
#: Rows of one user in a sample from which on it may well be an item instead.
MANY_ROWS = 5_000
#: Values that tell whether a column is of numbers, and of what shape its texts are.
MOST_VALUES, SOME_VALUES = 20_000, 1_000

_E_MAIL = re.compile(r"[^@\s]+@[^@\s]+\.[a-zA-Z]+")
_THING = re.compile(r"B0[0-9A-Z]{8}|(97[89]-?)?\d{9}[\dXx]|https?://\S+|.*\(\d{4}\)")
OURS = {"user_id": "user", "item_id": "item", "rating": "rating", "rated_at": "time"}


@dataclass(frozen=True)
class Column:
    """A column of the sample: its name, what the name tells, its values (empty ones left out), and facts about them."""

    name: str
    values: list[str]
    n: int
    is_named: bool
    now: datetime

    @property
    def role(self) -> Role:
        return role_of(self.name).role if self.is_named else ""

    @property
    def strength(self) -> int:
        return role_of(self.name).strength if self.is_named else 0

    @cached_property
    def distinct(self) -> set[str]:
        return set(self.values)

    @cached_property
    def is_numeric(self) -> bool:
        some = self.values[:MOST_VALUES]
        return bool(some) and sum(map(is_number, some)) >= 0.9 * len(some)

    @cached_property
    def time(self) -> TimeGuess | None:
        return time_of(self.values, self.now)

    @property
    def is_filled(self) -> bool:
        return len(self.values) >= 0.5 * self.n > 0

    @cached_property
    def scale(self) -> Scale:
        return scale_of(self.values, is_count=self.role == "count")

    @property
    def looks_rated(self) -> bool:
        """Whether its values are few numbers of a usual scale."""
        return self.is_numeric and len(self.distinct) <= MOST_RATINGS and self.scale.minimum is not None

    def share_of(self, pattern: re.Pattern[str]) -> float:
        some = self.values[:SOME_VALUES]
        return sum(pattern.fullmatch(value) is not None for value in some) / max(len(some), 1)


@dataclass
class Columns:
    """Our names -> columns, with the guesses and questions on them; `without` are ours that the file does not have."""

    chosen: dict[str, Column] = field(default_factory=dict)
    guesses: list[Guess] = field(default_factory=list)
    questions: list[Question] = field(default_factory=list)
    without: frozenset[str] = frozenset()

    def is_open(self, ours: str) -> bool:
        return ours not in self.chosen and ours not in self.without

    def choose(self, ours: str, column: Column, confidence: Confidence, reason: str, question: str = "") -> None:
        self.chosen[ours] = column
        self.guesses.append(Guess(f"ratings.columns.{ours}", repr(column.name), confidence, reason))
        if question:
            self.questions.append(Question(f"ratings.columns.{ours}", question))

    def left(self, columns: Sequence[Column]) -> list[Column]:
        taken = {column.name for column in self.chosen.values()}
        return [column for column in columns if column.name not in taken]


def columns_of(table: Table, name: str, now: datetime, answered: Mapping[str, str]) -> Columns:
    """The columns of a sample.

    Args:
        name: the file, for messages.
        answered: our name -> a column as a person named it; "" where there is none.

    Raises:
        SourceError: there is no column that could be the user, or none that could be the item.
    """
    columns = []
    for at, theirs in enumerate(table.names):
        if theirs:
            values = table.column(at)
            columns.append(
                Column(theirs, [value for value in values if value.strip()], len(values), table.is_named, now)
            )
    if len(columns) < 2:
        raise SourceError(f"{name} has fewer than two columns with names: ratings need a user and an item.")
    found = _by_answers(columns, answered, name)
    if set(answered) != set(OURS):
        if table.is_named:
            _by_names(columns, found)
            _by_values(columns, found, name)
        else:
            _by_positions(columns, found)
    missing = [OURS[ours] for ours in ("user_id", "item_id") if ours not in found.chosen]
    if missing:
        raise SourceError(f"{name}: no column is said to be the {' or the '.join(missing)}: name it.")
    order = list(OURS)
    found.chosen = {ours: found.chosen[ours] for ours in order if ours in found.chosen}
    found.guesses.sort(key=lambda guess: order.index(guess.field.rpartition(".")[2]))
    return found


def _by_answers(columns: Sequence[Column], answered: Mapping[str, str], name: str) -> Columns:
    """What a person has said; a name may be in other letters' case, as when the file is read.

    Raises:
        SourceError: there is no such column, or one is to be two things.
    """
    found = Columns(without=frozenset(ours for ours, theirs in answered.items() if not theirs))
    by_name = {column.name.strip().casefold(): column for column in columns}
    for ours, theirs in answered.items():
        if not theirs:
            continue
        column = by_name.get(theirs.strip().casefold())
        if column is None:
            names = ", ".join(each.name for each in columns[:LISTED])
            raise SourceError(
                f"{name} has no column {theirs!r} to be the {OURS[ours]} (it has {names}): mend its name."
            )
        if column in found.chosen.values():
            raise SourceError(f"{name}: column {theirs!r} can't be two of user, item, rating and time: name another.")
        found.choose(ours, column, "certain", "so it was said")
    return found


def _by_names(columns: Sequence[Column], found: Columns) -> None:
    for ours, roles in (
        ("user_id", ("user_id",)),
        ("item_id", ("item_id",)),
        ("rating", ("rating", "count")),
        ("rated_at", ("rated_at",)),
    ):
        if not found.is_open(ours):
            continue
        left = found.left(columns)
        named = [column for role in roles for column in left if column.role == role and _is_possible(column, ours)]
        # A rating says more than an amount, whatever their names.
        first = next((role for role in roles if any(column.role == role for column in named)), "")
        ranked = sorted((column for column in named if column.role == first), key=lambda column: -column.strength)
        if not ranked:
            continue
        best, *others = ranked
        rivals = [column for column in others if column.strength == best.strength and column.values != best.values]
        if ours == "rated_at" and rivals and all(_is_same_time(best, rival) for rival in rivals):
            rivals = []
        sure: Confidence = "certain" if best.strength >= 4 else "likely"
        if rivals:
            either = _either([best, *rivals])
            found.choose(ours, best, "unsure", f"{either} may be it", f"Which column is the {OURS[ours]}, {either}?")
        else:
            found.choose(ours, best, sure, f"so its name says{_evidence(best, ours)}")


def _by_values(columns: Sequence[Column], found: Columns, name: str) -> None:
    """What the names left open, among the columns whose names tell nothing."""
    _misfits(columns, found)
    unknown = [column for column in columns if not column.role]
    if found.is_open("rated_at"):
        times = [column for column in found.left(unknown) if column.is_filled and column.time]
        if len(times) == 1:
            found.choose("rated_at", times[0], "likely", f"its values are times{_evidence(times[0], 'rated_at')}")
        elif times:
            either = _either(times)
            found.choose("rated_at", times[0], "unsure", f"{either} hold times", f"Which column is the time, {either}?")
    unknown = found.left(unknown)
    rated = (
        [] if not found.is_open("rating") else [column for column in unknown if column.is_filled and column.looks_rated]
    )
    for ours in ("user_id", "item_id"):
        if found.is_open(ours):
            left = found.left(unknown)
            able = [column for column in left if column.is_filled and column not in rated]
            _by_elimination(ours, able or left, found, columns, name)
    rated = [column for column in found.left(rated) if len(column.distinct) > 2]
    if rated:
        either = _either(rated)
        which = "Is the column" if len(rated) == 1 else "Which column is"
        question = f"{which} {either} the rating" if len(rated) == 1 else f"{which} the rating, {either}"
        found.choose(
            "rating",
            rated[0],
            "unsure",
            f"{rated[0].scale.reason}, but its name tells nothing",
            f"{question}? Where none is, take both lines out.",
        )


def _misfits(columns: Sequence[Column], found: Columns) -> None:
    """Columns whose names tell a rating or a time, with values that are none."""
    for ours, roles, strength in (("rating", ("rating", "count"), 4), ("rated_at", ("rated_at",), 3)):
        misfits = [
            each for each in found.left(columns) if each.role in roles and each.strength >= strength and each.is_filled
        ]
        if not found.is_open(ours) or not misfits:
            continue
        column = misfits[0]
        if ours == "rated_at":
            found.choose(
                ours, column, "likely", f"so its name says, but {column.values[0]!r} is a time in no known form"
            )
            continue
        wrong = next(value for value in column.values if not is_number(value))
        question = (
            f"Column {column.name!r} holds {wrong[:40]!r}, which is no number: which column is the rating? Numbers "
            "need a point, not a comma; where there is no rating, take both lines out."
        )
        found.choose(ours, column, "unsure", f"so its name says, but {wrong[:40]!r} is no number", question)


def _by_elimination(ours: str, candidates: list[Column], found: Columns, columns: Sequence[Column], name: str) -> None:
    candidates = [column for column in candidates if not tells_of_something_else(column.name)]
    # What is different in each row is the row's own number.
    repeating = [column for column in candidates if len(column.distinct) < len(column.values)] or candidates
    if not repeating:
        names = ", ".join(column.name for column in columns[:LISTED])
        raise SourceError(
            f"{name} has no column that could be the {OURS[ours]} (it has {names}): check whether it holds ratings."
        )
    is_user_asked = any(question.field.endswith(".user_id") for question in found.questions)
    other = "item_id" if ours == "user_id" else "user_id"
    best = repeating[0]
    if len(repeating) == 1 and other in found.chosen and not (is_user_asked and not found.chosen[other].role):
        found.choose(ours, best, "likely", f"no other column is left that could be the {OURS[ours]}")
    else:
        either = _either([*(found.chosen[other] for _ in range(is_user_asked)), *repeating])
        found.choose(ours, best, "unsure", "no name tells", f"Which column is the {OURS[ours]}, {either}?")


def _by_positions(columns: Sequence[Column], found: Columns) -> None:
    """Without names: user, item, rating, time is the order of nearly all files, if the values fit."""
    if found.is_open("rated_at"):
        times = [column for column in found.left(columns) if column.is_filled and column.time]
        if len(times) == 1 and len(columns) > 2:
            found.choose("rated_at", times[0], "likely", f"its values are times{_evidence(times[0], 'rated_at')}")
        elif len(columns) > 2 and times:
            either = _either(times)
            found.choose(
                "rated_at", times[-1], "unsure", f"{either} hold times", f"Which column is the time, {either}?"
            )
    n_ids = sum(found.is_open(ours) for ours in ("user_id", "item_id"))
    rest = found.left(columns)
    if found.is_open("rating") and len(rest) > n_ids:
        _rating_by_position(rest, n_ids, found)
    ids = found.left(rest)
    if n_ids == 2 and len(ids) >= 2:
        _user_and_item(ids, found, is_usual=len(ids) == 2 and len(columns) in (3, 4) and rest[:2] == ids)
    elif n_ids == 1 and ids:
        ours = "user_id" if found.is_open("user_id") else "item_id"
        question = f"Which column is the {OURS[ours]}, {_either(ids)}?" if len(ids) > 1 else ""
        found.choose(ours, ids[0], "unsure" if question else "likely", "the first that is left", question)


def _rating_by_position(rest: Sequence[Column], n_ids: int, found: Columns) -> None:
    # Ids of a small file are few numbers too: the rating stands behind them.
    behind, rated = rest[n_ids], [column for column in rest if column.looks_rated]
    if len(rest) == n_ids + 1 and behind.is_numeric and (behind in rated or behind.scale.is_count):
        found.choose("rating", behind, "likely", f"column {behind.name}, {behind.scale.reason}")
    elif rated or behind.is_numeric:
        either = _either(rated or [behind])
        question = f"Which column is the rating, {either}? Where none is, take both lines out."
        best = behind if behind.is_numeric else rated[0]
        found.choose("rating", best, "unsure", "no names, and not the usual order of columns", question)


def _user_and_item(ids: list[Column], found: Columns, *, is_usual: bool) -> None:
    user, item = ids[0], ids[1]
    if len(ids) == 2:
        first, second = (_person_or_thing(column) for column in ids)
        if first != second and (first == "thing" or second == "person"):
            user, item = item, user
        if first != second:
            found.choose("user_id", user, "likely", "by what it holds" + _shown(user))
            found.choose("item_id", item, "likely", "by what it holds" + _shown(item))
            return
    most = max((user.values.count(value) for value in user.values[:1]), default=0)
    is_repeating = len(user.distinct) < len(user.values) or len(item.distinct) < len(item.values)
    if is_usual and is_repeating and most < MANY_ROWS:
        numbers = f"{len(user.distinct):,} users of {len(item.distinct):,} items"
        reason = f"first in the usual order of user, item, rating, time; {numbers}"
        found.choose("user_id", user, "likely", reason)
        found.choose("item_id", item, "likely", "second in that order")
        return
    either = _either(ids)
    found.choose("user_id", user, "unsure", "there are no names", f"Which column is the user, {either}?")
    found.choose("item_id", item, "unsure", "there are no names", f"Which column is the item, {either}?")


def _person_or_thing(column: Column) -> str:
    if column.share_of(_E_MAIL) > 0.9:
        return "person"
    return "thing" if column.share_of(_THING) > 0.9 and not column.is_numeric else ""


def _is_possible(column: Column, ours: str) -> bool:
    """Whether the values fit the role that the name tells."""
    if not column.is_filled:
        return False
    if ours == "rating":
        return column.is_numeric
    return column.time is not None if ours == "rated_at" else True


def _is_same_time(one: Column, other: Column) -> bool:
    """Whether two columns tell the same times to the day, as 'unixReviewTime' and 'reviewTime'."""
    from marquee.sources.inspection.times import read_time

    if one.time is None or other.time is None:
        return False
    pairs = list(zip(one.values[:20], other.values[:20], strict=False))
    return all(
        (first := read_time(left, one.time.unit))
        and (second := read_time(right, other.time.unit))
        and abs((first - second).total_seconds()) <= 86_400
        for left, right in pairs
    )


def _evidence(column: Column, ours: str) -> str:
    if ours == "rated_at" and column.time:
        return f", and {column.time.reason}"
    return ""


def _shown(column: Column) -> str:
    return f", as {column.values[0]!r}" if column.values else ""


def _either(columns: Sequence[Column]) -> str:
    names = [repr(column.name) for column in columns[:LISTED]]
    more = f" or one of {len(columns) - LISTED:,} others" if len(columns) > LISTED else ""
    return " or ".join(names) + more
