"""What one task of the barrier stage does: from packed ratings to the factors of the users and items that it owns."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from marquee.errors import TrainingError
from spark_jobs.als import indexing, packing
from spark_jobs.als.biases import unpublished_items
from spark_jobs.als.blocks import Triples, brought, own_rows, rows_of
from spark_jobs.als.checkpoint import NoCheckpoints, StoredCheckpoints
from spark_jobs.als.exchange import DEFAULT_PATIENCE, Alone, Exchange, FlightExchange, all_reduce
from spark_jobs.als.indexing import Side
from spark_jobs.als.kernels import Rows
from spark_jobs.als.plan import Factors, Fit, Iteration, Plan
from spark_jobs.als.training import train

ROWS_OF_A_BATCH = 8192


@dataclass(frozen=True)
class Errand:
    """All that a task has to know beside its rows.

    Attributes:
        plan: what to do.
        id_types: of users and items, int64 or string.
        token: by which the tasks know one another.
        patience: seconds that a task waits for another.
        checkpoints: folder for them; empty for none.
        is_warm: whether a fitted model's items come with the ratings.
    """

    plan: Plan
    id_types: tuple[pa.DataType, pa.DataType]
    token: str
    patience: float = DEFAULT_PATIENCE
    checkpoints: str = ""
    is_warm: bool = False


@dataclass(frozen=True)
class Done:
    """A task's result: its own users and items in the order of its own indexes, and what the fit came to."""

    users: Side
    items: Side
    fit: Fit


def run(errand: Errand, batches: Iterator[pa.RecordBatch], report: Callable[[str], None]) -> Iterator[pa.RecordBatch]:
    """Fit within a Spark task of a barrier stage; the rows of the factors that this task owns (`factor_schema`).

    Args:
        report: is told of each iteration, by the first task alone.
    """
    from pyspark import BarrierTaskContext

    context = BarrierTaskContext.get()
    frames: dict[str, list[pa.Buffer]] = {}
    for batch in batches:
        for kind, frame in zip(batch["kind"].to_pylist(), batch["frame"], strict=True):
            frames.setdefault(kind, []).append(frame.as_buffer())
    addresses = [info.address for info in context.getTaskInfos()]
    task, exchange = context.partitionId(), connected(context, addresses, errand)
    try:
        done = fit(errand, frames, exchange, lambda one: report(told(one)) if task == 0 else None)
    except BaseException:
        exchange.close(seconds=0)
        raise
    exchange.close()
    yield from factor_rows(done, errand)


def connected(context: object, addresses: list[str], errand: Errand) -> Exchange:
    """The exchange with the other tasks of the stage."""
    from pyspark import BarrierTaskContext

    if len(addresses) == 1:
        return Alone()
    if not isinstance(context, BarrierTaskContext):
        raise TrainingError("The tasks of a fit run in a barrier stage only: report this.")
    task = context.partitionId()
    exchange = FlightExchange(task, addresses[task].rsplit(":", 1)[0], errand.token, errand.patience)
    exchange.connect(context.allGather(exchange.address))
    return exchange


def fit(
    errand: Errand, frames: dict[str, list[pa.Buffer]], exchange: Exchange, report: Callable[[Iteration], None]
) -> Done:
    """Fit by what the tasks have received.

    Raises:
        TrainingError: there is no rating at all.
    """
    plan = errand.plan
    ratings = packing.unpack(frames.pop(packing.RATINGS, []), errand.id_types)
    n_ratings, total = all_reduce(exchange, np.array([len(ratings.rating), ratings.rating.sum(dtype=np.float64)]))
    if n_ratings == 0:
        raise TrainingError("There is no rating to learn from: the frame of ratings is empty.")
    users, user_index = indexing.number(ratings.user, exchange)
    items, item_index = indexing.number(ratings.item, exchange)
    triples = Triples(user_index, item_index, ratings.rating)
    of_users, of_items = own_rows(triples, users, items, exchange)
    del ratings, user_index, item_index, triples
    validation = None
    if _any(exchange, packing.VALIDATION in frames):
        put_aside = packing.unpack(frames.pop(packing.VALIDATION, []), errand.id_types)
        validation = _known_rows(put_aside, users, items, exchange)
    mean = float(total / n_ratings)
    start = _start(errand, frames, users, items, exchange, mean)
    checkpoints = (
        StoredCheckpoints(errand.checkpoints, exchange.task, exchange.n_tasks)
        if errand.checkpoints
        else NoCheckpoints()
    )
    fitted = train(
        plan, (users, of_users), (items, of_items), start, exchange,
        mean=mean, is_warm=errand.is_warm, validation=validation, checkpoints=checkpoints, report=report,
    )  # fmt: skip
    return Done(users, items, fitted)


def factor_schema(id_types: tuple[pa.DataType, pa.DataType]) -> pa.Schema:
    """A row of factors has its user or its item; the one row that has neither tells how the fit went, as JSON."""
    return pa.schema(
        [
            ("user", id_types[0]),
            ("item", id_types[1]),
            ("features", pa.list_(pa.float32())),
            ("fit", pa.string()),
        ]
    )


def factor_rows(done: Done, errand: Errand) -> Iterator[pa.RecordBatch]:
    """The task's own factors, batch by batch; the first task's last row tells how the fit went."""
    schema = factor_schema(errand.id_types)
    for name, side, factors in (
        ("user", done.users, done.fit.factors.users),
        ("item", done.items, done.fit.factors.items),
    ):
        for start in range(0, len(side.ids), ROWS_OF_A_BATCH):
            rows = factors[start : start + ROWS_OF_A_BATCH]
            offsets = pa.array(np.arange(len(rows) + 1, dtype=np.int32) * rows.shape[1])
            columns = {
                name: side.ids.slice(start, len(rows)),
                "features": pa.ListArray.from_arrays(offsets, pa.array(rows.ravel())),
            }
            yield _row_batch(schema, columns, len(rows))
    if done.users.task == 0:
        yield _row_batch(schema, {"fit": pa.array([told_fit(done.fit)])}, 1)


def told(one: Iteration) -> str:
    """An iteration as JSON."""
    return json.dumps(asdict(one))


def told_fit(fit: Fit) -> str:
    """How a fit went, as JSON."""
    return json.dumps({"solver": fit.solver, "iterations": [asdict(one) for one in fit.iterations]})


def _row_batch(schema: pa.Schema, columns: dict[str, pa.Array], n: int) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays(
        [columns.get(field.name, pa.nulls(n, field.type)) for field in schema], schema=schema
    )


def _known_rows(put_aside: packing.Unpacked, users: Side, items: Side, exchange: Exchange) -> Rows:
    """The ratings put aside whose user and item are known, by this task's users over all items."""
    user, item = (
        indexing.find(ids, side, exchange) for ids, side in ((put_aside.user, users), (put_aside.item, items))
    )
    at = (user >= 0) & (item >= 0)
    row, other, value = brought(user[at], item[at], put_aside.rating[at], users, exchange)
    return rows_of(row, other, value, len(users.ids), items.n)


def _start(
    errand: Errand, frames: dict[str, list[pa.Buffer]], users: Side, items: Side, exchange: Exchange, mean: float
) -> Factors:
    """Where the iterations begin: random users; or a fitted model's items, those that are new at zero."""
    plan = errand.plan
    begun = np.zeros((len(users.ids), plan.width), np.float32)
    item_factors = np.zeros((len(items.ids), plan.width), np.float32)
    if not errand.is_warm:
        begun[:, : plan.rank] = indexing.start_factors(users.ids, plan.rank, plan.seed, plan.problem.nonnegative)
        return Factors(begun, item_factors)
    width = plan.rank + 2 * int(plan.biases)
    given = [pa.ipc.open_stream(frame).read_all() for frame in frames.pop(packing.ITEM_FACTORS, [])]
    schema = pa.schema([("id", errand.id_types[1]), ("features", pa.list_(pa.float32(), width))])
    known = pa.concat_tables([table.cast(schema) for table in given]) if given else schema.empty_table()
    known = known.combine_chunks()
    ids = known["id"].combine_chunks() if len(known) else pa.array([], errand.id_types[1])
    owner = indexing.owners(ids, exchange.n_tasks) if len(known) else np.empty(0, np.int64)
    for table in exchange.all_to_all(
        [known.take(pa.array(np.flatnonzero(owner == task))) for task in range(exchange.n_tasks)]
    ):
        place = pc.index_in(table["id"], value_set=items.ids).combine_chunks()
        at = place.is_valid().to_numpy(zero_copy_only=False)
        vectors = np.asarray(table["features"].combine_chunks().flatten()).reshape(-1, width)[at]
        item_factors[place.drop_null().to_numpy()] = unpublished_items(vectors, mean) if plan.biases else vectors
    return Factors(begun, item_factors)


def _any(exchange: Exchange, here: bool) -> bool:
    """Whether it holds in any task."""
    return bool(all_reduce(exchange, np.array([float(here)]))[0] > 0)
