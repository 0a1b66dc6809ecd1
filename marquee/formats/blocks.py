"""What a reader gives: blocks of rows, and the lines that are no rows. None is ever dropped in silence."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray


@dataclass(frozen=True)
class BadLine:
    """A line that is no row: its number (the first is 1), a reason code, a sentence, and the line as received."""

    line: int
    reason: str
    sentence: str
    raw: str


@dataclass(frozen=True)
class Block:
    """A run of rows.

    Attributes:
        columns: our name -> values, each of length n: texts (empty where there is nothing), or numbers where all of
            them could be read as such. A column that the reading does not name is absent.
        lines: int64 of shape (n,), the line that each row starts in; the first is 1.
        raw: positions of rows -> their lines as received.
        bad: the lines that are no rows.
    """

    columns: dict[str, pa.Array]
    lines: NDArray[np.int64]
    raw: Callable[[Sequence[int]], list[str]]
    bad: list[BadLine] = field(default_factory=list)

    @property
    def n_read(self) -> int:
        return len(self.lines) + len(self.bad)
