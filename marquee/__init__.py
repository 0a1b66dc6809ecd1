"""Marquee: ratings in, recommendations out, as a pipeline that a data team runs in production."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from marquee.recommendations import Recommendations

__version__ = "0.1.0"
__all__ = ["Recommendations", "__version__"]


def __getattr__(name: str) -> Any:
    """`marquee.Recommendations`, and DuckDB with it, only where it is asked for."""
    if name == "Recommendations":
        from marquee.recommendations import Recommendations

        return Recommendations
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
