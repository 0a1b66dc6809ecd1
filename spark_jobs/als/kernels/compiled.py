"""How the kernels are compiled: once a machine, without Python's lock, with sums that may be taken in any order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba

#: NaN and infinities keep their meaning: a factor that has run away stays visible in the objective.
MAY_REORDER = frozenset({"reassoc", "contract", "arcp", "nsz"})


def kernel(function: Callable[..., Any]) -> Any:
    """`function` compiled at its first call; a later process loads it from numba's cache.

    numba keeps a function's machine code until its own file changes, whatever it calls: after a change in one file of
    this package, touch the others.
    """
    return numba.njit(cache=True, nogil=True, fastmath=set(MAY_REORDER), error_model="numpy")(function)
