"""BLAS's float32 matrix product, called from compiled code without the interpreter, one thread for each caller."""

from __future__ import annotations

import contextlib
import ctypes
import threading
from collections.abc import Callable, Iterator
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import get_cython_function_address, intrinsic
from scipy.linalg import cython_blas


def sgemm_address() -> int:
    """Where scipy's `sgemm` lies in this process; given to kernels as an argument, since their cache outlives it."""
    return int(get_cython_function_address("scipy.linalg.cython_blas", "sgemm"))


@intrinsic
def call_sgemm(typing_context, address, m, n, depth, a, b, c, ldc):  # type: ignore[no-untyped-def]
    """C = A'B for column-major A (depth, m), B (depth, n) and C (m, n; `ldc` from column to column).

    In rows: C (n, ldc) gets the products of the rows of B (n, depth) with those of A (m, depth).

    Args:
        address: of `sgemm`, int64.
        m, n, depth, ldc: int64; they have to fit 32 bits.
        a, b, c: addresses of float32, int64.
    """
    signature = types.void(*(types.int64,) * 8)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = ir.IntType(8).as_pointer()
        given = dict(zip(("address", "m", "n", "depth", "a", "b", "c", "ldc"), arguments, strict=True))

        def address_of(value: Any) -> Any:
            return builder.bitcast(cgutils.alloca_once_value(builder, value), pointer)

        whole = {name: address_of(builder.trunc(given[name], ir.IntType(32))) for name in ("m", "n", "depth", "ldc")}
        one, zero = (address_of(ir.Constant(ir.FloatType(), value)) for value in (1.0, 0.0))
        transposed, plain = (address_of(ir.Constant(ir.IntType(8), ord(letter))) for letter in "TN")
        a, b, c = (builder.inttoptr(given[name], pointer) for name in "abc")
        function = builder.inttoptr(given["address"], ir.FunctionType(ir.VoidType(), [pointer] * 13).as_pointer())
        words = [transposed, plain, whole["m"], whole["n"], whole["depth"], one, a, whole["depth"]]
        builder.call(function, [*words, b, whole["depth"], zero, c, whole["ldc"]])
        return context.get_dummy_value()

    return signature, generate


def _thread_count() -> tuple[Callable[[], int], Callable[[int], Any]] | None:
    """How the OpenBLAS that scipy brought tells and takes its number of threads; None for another BLAS."""
    library = ctypes.CDLL(cython_blas.__file__)
    for prefix in ("scipy_openblas", "openblas"):
        with contextlib.suppress(AttributeError):
            return getattr(library, f"{prefix}_get_num_threads"), getattr(library, f"{prefix}_set_num_threads")
    return None


_lock = threading.Lock()
_users_of_one_thread = 0
_threads_before = 0


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Within this, the BLAS of `sgemm_address` uses its caller's thread alone: the callers are as many as the cores.

    The number is the process's own; it comes back when the last caller has left.
    """
    global _users_of_one_thread, _threads_before
    count = _thread_count()
    if count is None:
        yield
        return
    get, set_to = count
    with _lock:
        if _users_of_one_thread == 0:
            _threads_before = get()
            set_to(1)
        _users_of_one_thread += 1
    try:
        yield
    finally:
        with _lock:
            _users_of_one_thread -= 1
            if _users_of_one_thread == 0:
                set_to(_threads_before)
