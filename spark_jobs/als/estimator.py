"""Alternating least squares on Spark: the estimator, by the names of `pyspark.ml.recommendation.ALS`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pyspark import StorageLevel, keyword_only
from pyspark.ml import Estimator
from pyspark.ml.util import DefaultParamsReadable, DefaultParamsWritable
from pyspark.sql import DataFrame

from spark_jobs.als.fitting import Request, fit
from spark_jobs.als.kernels import Problem
from spark_jobs.als.model import ALSModel
from spark_jobs.als.params import EstimatorParams, refuse_biases, refuse_wrong, with_accessors
from spark_jobs.als.plan import Plan

Hear = Callable[[dict[str, Any]], None]


@with_accessors
class ALS(Estimator[ALSModel], EstimatorParams, DefaultParamsWritable, DefaultParamsReadable["ALS"]):  # type: ignore[misc]
    """Alternating least squares; a change of the import is all that a program for Spark ML's class needs.

        from spark_jobs.als import ALS
        model = ALS(rank=64, implicitPrefs=True, userCol="user_id", itemCol="item_id").fit(ratings)

    Problems, each with the objective of Spark ML (n_u, n_i: ratings of a user, of an item):

    - explicit: sum (r - x.y)^2 + regParam (sum n_u |x|^2 + sum n_i |y|^2); Zhou et al., "Large-scale Parallel
      Collaborative Filtering for the Netflix Prize" (2008).
    - implicit: confidence 1 + alpha |r|, preference 1 where r > 0; Hu, Koren and Volinsky, "Collaborative Filtering for
      Implicit Feedback Datasets" (ICDM 2008).
    - nonnegative: either of them, with factors of at least 0.

    Beyond Spark ML: ids are whole numbers of 64 bits or strings; `unobservedWeight` and `regExponent` as in Rendle et
    al., "Revisiting the Performance of iALS" (RecSys 2022); `tol` and `validationIndicatorCol` end a fit early; a fit
    may begin with a fitted model (`setInitialModel`) and tells of each iteration (`setListener`). `numUserBlocks`,
    `numItemBlocks` and `intermediateStorageLevel` are taken, and have no effect: there are no blocks. See docs/als.md.

    Raises:
        ValueError: a parameter has a value that it can't have, or a column is missing or of a wrong type (by `fit`).
        TrainingError: an id or rating is missing, a rating is no finite number, or there is none (by `fit`).
    """

    @keyword_only  # type: ignore[untyped-decorator]
    def __init__(self, **kwargs: Any) -> None:
        super().__init__()
        self._initial: ALSModel | None = None
        self._hear: Hear = lambda _: None
        self.setParams(**self._input_kwargs)

    @keyword_only  # type: ignore[untyped-decorator]
    def setParams(self, **kwargs: Any) -> ALS:  # noqa: N802 - Spark ML's convention
        """Set parameters by name."""
        unknown = sorted(name for name in self._input_kwargs if not self.hasParam(name))
        if unknown:
            raise TypeError(
                f"ALS has no parameter {', '.join(unknown)}: it has {', '.join(one.name for one in self.params)}."
            )
        return self._set(**self._input_kwargs)  # type: ignore[no-any-return]

    def setInitialModel(self, model: ALSModel | None) -> ALS:  # noqa: N802
        """Begin with a fitted model's items; users and items may have come or gone since."""
        self._initial = model
        return self

    def setListener(self, hear: Hear) -> ALS:  # noqa: N802
        """Be told of each iteration while the fit runs: number, objective, validation, seconds."""
        self._hear = hear
        return self

    def _fit(self, dataset: DataFrame) -> ALSModel:
        refuse_wrong(self)
        refuse_biases(self)
        initial = self._initial
        width = self.getRank() + 2 * int(self.getOrDefault(self.biases))
        if initial is not None and initial.width != width:
            raise ValueError(
                f"The initial model has {initial.width} values a row, and this fit has {width}: set the same rank and "
                "biases."
            )
        done = fit(dataset, self._request(dataset), self._hear)
        model = ALSModel(done.user_factors, done.item_factors, self.getRank(), width, done.solver, done.iterations)
        model._kept = done.kept
        model._resetUid(self.uid)
        return self._copyValues(model)  # type: ignore[no-any-return]

    def _request(self, dataset: DataFrame) -> Request:
        get = self.getOrDefault
        exponent = get(self.regExponent) if self.isDefined(self.regExponent) else None
        directory = get(self.checkpointDir) if self.isDefined(self.checkpointDir) else None
        if directory is None:
            directory = dataset.sparkSession.sparkContext.getCheckpointDir() or ""
        interval = self.getCheckpointInterval()
        plan = Plan(
            problem=Problem(
                implicit=get(self.implicitPrefs),
                regularization=get(self.regParam),
                alpha=get(self.alpha),
                unobserved_weight=get(self.unobservedWeight),
                regularization_exponent=exponent,
                nonnegative=get(self.nonnegative),
            ),
            rank=get(self.rank),
            iterations=get(self.maxIter),
            seed=get(self.seed),
            solver=get(self.solver),
            tolerance=get(self.tol),
            checkpoint_interval=interval,
            biases=get(self.biases),
            exact_users=get(self.exactUsers),
            memory=get(self.maxFactorsMemory),
        )
        is_watched = self.isDefined(self.validationIndicatorCol)
        return Request(
            plan=plan,
            columns=(self.getUserCol(), self.getItemCol(), self.getRatingCol()),
            validation=get(self.validationIndicatorCol) if is_watched else "",
            n_tasks=get(self.numTasks),
            patience=get(self.taskTimeout),
            checkpoints=directory if interval > 0 else "",
            storage=storage_level(get(self.finalStorageLevel)),
            warm=None if self._initial is None else self._initial.itemFactors,
        )


def storage_level(name: str) -> StorageLevel:
    """Spark's storage level of that name.

    Raises:
        ValueError: there is none.
    """
    level = getattr(StorageLevel, name, None)
    if not isinstance(level, StorageLevel) or name == "NONE":
        raise ValueError(
            f"ALS parameter finalStorageLevel given invalid value {name}: it may be MEMORY_AND_DISK "
            "or another of pyspark.StorageLevel but NONE."
        )
    return level
