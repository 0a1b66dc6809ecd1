"""How the kernels are compiled: once an installation, ahead of their first call, without the interpreter's lock."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba


def compiled(*signatures: Any, **options: Any) -> Callable[[Callable[..., Any]], Any]:
    """numba's `njit`, kept on disk; where no folder can be written (code in a zip), compiled in each process."""

    def decorate(function: Callable[..., Any]) -> Any:
        try:
            return numba.njit(*signatures, nogil=True, cache=True, error_model="numpy", **options)(function)
        except RuntimeError as error:
            if "cannot cache" not in str(error):
                raise
            return numba.njit(*signatures, nogil=True, error_model="numpy", **options)(function)

    return decorate
