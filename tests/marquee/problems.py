"""What factors may have been trained for: the three kinds of problems that fold-in and explanations solve again."""

from __future__ import annotations

IMPLICIT = {
    "implicit": True, "regularization": 0.05, "alpha": 0.3, "unobserved_weight": 0.2, "regularization_exponent": None,
}  # fmt: skip
PROBLEMS = {
    "implicit": IMPLICIT,
    "exponent": IMPLICIT | {"regularization_exponent": 0.5},
    "explicit": IMPLICIT | {"implicit": False, "unobserved_weight": 1.0},
}
