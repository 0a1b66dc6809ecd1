"""The parameters, by the names of `pyspark.ml.recommendation.ALS`, and those beyond it."""

from __future__ import annotations

from typing import Any

from pyspark.ml.param import Param, Params, TypeConverters
from pyspark.ml.param.shared import HasTol, HasValidationIndicatorCol

# Spark's own class of these parameters: names, meanings and defaults stay the same as theirs.
from pyspark.ml.recommendation import _ALSModelParams, _ALSParams

from spark_jobs.als.kernels import SOLVERS
from spark_jobs.als.plan import FACTORS_MEMORY

ModelParams = _ALSModelParams


class EstimatorParams(_ALSParams, HasTol, HasValidationIndicatorCol):  # type: ignore[misc]
    """What `ALS` takes beyond Spark's own."""

    unobservedWeight: Param[float] = Param(  # noqa: N815 - Spark ML's convention
        Params._dummy(),
        "unobservedWeight",
        "implicit: weight of the pairs without a rating (alpha_0 in Rendle et al. 2022); 1 is Spark ML's",
        typeConverter=TypeConverters.toFloat,
    )
    regExponent: Param[float] = Param(  # noqa: N815
        Params._dummy(),
        "regExponent",
        "exponent of the number of ratings in the regularization (nu in Rendle et al. 2022); unset: Spark ML's scaling",
        typeConverter=TypeConverters.toFloat,
    )
    biases: Param[bool] = Param(
        Params._dummy(),
        "biases",
        "explicit: whether users and items have a bias beside their factors, and all ratings a mean; features then "
        "have two more values than rank",
        typeConverter=TypeConverters.toBoolean,
    )
    solver: Param[str] = Param(
        Params._dummy(),
        "solver",
        f"how a row is solved for: auto (by rank and problem) or one of {', '.join(SOLVERS)}",
        typeConverter=TypeConverters.toString,
    )
    exactUsers: Param[bool] = Param(  # noqa: N815
        Params._dummy(),
        "exactUsers",
        "whether the users are solved for once more, exactly, where the solver only nears the solution: what fold-in "
        "finds for the same ratings is then the same",
        typeConverter=TypeConverters.toBoolean,
    )
    numTasks: Param[int] = Param(  # noqa: N815
        Params._dummy(),
        "numTasks",
        "tasks of the fit; 0: one for all cores of a local master, else one for each slot of the cluster",
        typeConverter=TypeConverters.toInt,
    )
    checkpointDir: Param[str] = Param(  # noqa: N815
        Params._dummy(),
        "checkpointDir",
        "folder that all executors reach, for factors every checkpointInterval iterations: a path, a URI, or "
        "lake://KEY; unset: SparkContext's checkpoint directory; none where that is not set either",
        typeConverter=TypeConverters.toString,
    )
    taskTimeout: Param[float] = Param(  # noqa: N815
        Params._dummy(),
        "taskTimeout",
        "seconds that a task waits for its neighbours before it gives up",
        typeConverter=TypeConverters.toFloat,
    )
    maxFactorsMemory: Param[int] = Param(  # noqa: N815
        Params._dummy(),
        "maxFactorsMemory",
        "bytes that a copy of one side's factors may have in each task; larger sides are exchanged in parts",
        typeConverter=TypeConverters.toInt,
    )

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._setDefault(
            seed=42,  # Spark's default in Python differs from process to process
            unobservedWeight=1.0,
            biases=False,
            solver="auto",
            exactUsers=False,
            tol=0.0,
            numTasks=0,
            taskTimeout=600.0,
            maxFactorsMemory=FACTORS_MEMORY,
        )


#: Parameter -> what it may be, in words, and whether a value is that.
ALLOWED: dict[str, tuple[str, Any]] = {
    "rank": ("at least 1", lambda value: value >= 1),
    "maxIter": ("at least 0", lambda value: value >= 0),
    "regParam": ("at least 0", lambda value: value >= 0),
    "alpha": ("at least 0", lambda value: value >= 0),
    "unobservedWeight": ("at least 0", lambda value: value >= 0),
    "tol": ("at least 0", lambda value: value >= 0),
    "numTasks": ("at least 0", lambda value: value >= 0),
    "blockSize": ("at least 1", lambda value: value >= 1),
    "numUserBlocks": ("at least 1", lambda value: value >= 1),
    "numItemBlocks": ("at least 1", lambda value: value >= 1),
    "taskTimeout": ("above 0", lambda value: value > 0),
    "maxFactorsMemory": ("above 0", lambda value: value > 0),
    "checkpointInterval": ("-1 or at least 1", lambda value: value == -1 or value >= 1),
    "coldStartStrategy": ("nan or drop", lambda value: value.lower() in ("nan", "drop")),
    "solver": (f"auto, {', '.join(SOLVERS)}", lambda value: value in ("auto", *SOLVERS)),
}


def refuse_wrong(params: Params) -> None:
    """Raise Spark's kind of error for a value that a parameter can't have.

    Raises:
        ValueError: it names the parameter, the value, and what is allowed.
    """
    for name, (allowed, is_allowed) in ALLOWED.items():
        if params.hasParam(name) and params.isDefined(params.getParam(name)):
            value = params.getOrDefault(params.getParam(name))
            if not is_allowed(value):
                raise ValueError(
                    f"{type(params).__name__} parameter {name} given invalid value {value}: it may be {allowed}."
                )


def refuse_biases(params: Params) -> None:
    """Biases are for explicit feedback of any sign.

    Raises:
        ValueError: they are asked for where feedback is implicit or factors nonnegative.
    """
    for name in ("implicitPrefs", "nonnegative"):
        if params.getOrDefault("biases") and params.getOrDefault(name):
            raise ValueError(f"ALS parameter biases is True with {name} True: biases are for explicit feedback alone.")


def with_accessors(cls: type[Any]) -> type[Any]:
    """Give a class `setName` and `getName` for each of its parameters, as Spark ML's classes have them."""
    for param in cls().params:
        stem = param.name[0].upper() + param.name[1:]
        if not hasattr(cls, f"set{stem}"):
            setattr(cls, f"set{stem}", _setter(param.name))
        if not hasattr(cls, f"get{stem}"):
            setattr(cls, f"get{stem}", _getter(param.name))
    return cls


def _setter(name: str) -> Any:
    def set_value(self: Any, value: Any) -> Any:
        return self._set(**{name: value})

    set_value.__doc__ = f"Set parameter {name}."
    return set_value


def _getter(name: str) -> Any:
    def get_value(self: Any) -> Any:
        return self.getOrDefault(name)

    get_value.__doc__ = f"Value of parameter {name}, or its default."
    return get_value
