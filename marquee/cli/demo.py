"""`marquee demo`: the whole way once, from a source of ratings to printed recommendations."""

from __future__ import annotations

import sys
import time
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from marquee import services
from marquee.airflow_client import AirflowClient, Run
from marquee.cli.following import is_skipped, run_dag
from marquee.cli.pipelines import INGEST, TRAIN, absolute
from marquee.cli.tables import ask
from marquee.credentials import FILE, credentials
from marquee.errors import MarqueeError, SourceError
from marquee.releases import current
from marquee.settings import settings

MOVIELENS = "https://files.grouplens.org/datasets/movielens/ml-latest-small.zip"
MOVIELENS_SHA256 = "859da233c6929ebc9202e9516cdefa8a3c695aef67d1878249d6036c3513c023"
# of the size of MovieLens latest-small
GENERATED_USERS, GENERATED_ITEMS, GENERATED_RATINGS, GENERATED_SEED = 610, 9_700, 100_000, 1
USERS = 3
METRICS = ("ndcg", "recall", "precision", "map", "mrr", "hit_rate", "coverage", "novelty", "rmse")


def demo(
    source: Annotated[
        str, typer.Argument(help="Folder, file, archive or URL; none: MovieLens latest-small.", show_default=False)
    ] = "",
) -> None:
    """Start the services, run the three DAGs on a source, and print recommendations; again, it adds nothing twice."""
    begin = time.monotonic()
    console = Console(highlight=False, soft_wrap=True)
    services.up(
        settings(), lambda message: console.print(f"{time.monotonic() - begin:7.1f} s  {message}", markup=False)
    )
    where, sha256 = (absolute(source), "") if source else _default_source(console)
    conf = {"source": where, "format": "auto", "mode": "replace", "sha256": sha256}
    with AirflowClient.of(settings()) as client:
        ingested = run_dag(client, INGEST, conf)[0]
        if is_skipped(ingested, "accept") and not _is_released(client, ingested):
            # these bytes came in before, in a run whose training or publishing did not get through
            run_dag(client, TRAIN, {})
    show_release(console)
    _show_addresses(console)
    console.print(f'Done in {time.monotonic() - begin:.0f} s. Next: marquee sql "from recommendations limit 10"')


def show_release(console: Console) -> None:
    """Lists of a few users, the evaluation beside the floor, and where all of it comes from.

    Raises:
        ReleaseError: there is no release.
    """
    (row,) = _rows(
        "SELECT release_id, model_name, model_version, n_users, n_items, k, is_generated, raw_sha256 FROM release"
    )
    release_id, model, version, n_users, n_items, k, is_generated, raw = row
    made_up = " of GENERATED data" if is_generated else ""
    console.print(f"\n[bold]Release {release_id}[/]{made_up}: {k} recommendations for {n_users:,} users")
    console.print(f"{n_items:,} items, model {model} version {version}, raw data {', '.join(raw)}")
    for (user_id,) in _rows(
        "SELECT user_id FROM recommendations GROUP BY user_id ORDER BY try_cast(user_id AS BIGINT), user_id LIMIT ?",
        [USERS],
    ):
        table = Table(title=f"User {user_id}{made_up}", title_justify="left", box=None, pad_edge=False)
        for heading in ("position", "title", "score", "source"):
            table.add_column(heading)
        query = (
            "SELECT position, title, score, source FROM recommendations WHERE user_id = ? ORDER BY position LIMIT 10"
        )
        for position, title, score, origin in _rows(query, [user_id]):
            table.add_row(str(position), _plain(title), f"{score:.4f}", _plain(origin))
        console.print()
        console.print(table)
    table = Table(title=f"Evaluation{made_up}", title_justify="left", box=None, pad_edge=False)
    for heading in ("metric", "model", "popularity floor"):
        table.add_column(heading)
    for metric, value, floor in _compared(k):
        table.add_row(_plain(metric), f"{value:.4f}", f"{floor:.4f}")
    console.print()
    console.print(table)


def _compared(k: int) -> list[tuple[str, float, float]]:
    """(metric, model's value, floor's value), of the lists of length k where there are such."""
    rows = _rows(
        "SELECT metric, any_value(value) FILTER (is_champion) AS own, any_value(value) FILTER (is_floor) AS floor "
        "FROM evaluation GROUP BY metric HAVING own IS NOT NULL AND floor IS NOT NULL ORDER BY metric"
    )
    named = [row for row in rows if row[0].rpartition("_at_")[0] in METRICS or row[0] in METRICS]
    at_k = [row for row in named if row[0].endswith(f"_at_{k}")]
    return [row for row in named if row in at_k or "_at_" not in row[0]] if at_k else named


def _default_source(console: Console) -> tuple[str, str]:
    """MovieLens latest-small, as (source, sha256); without a network a generated set of its size."""
    from marquee.generate import generate
    from marquee.sources import locate

    try:
        locate(MOVIELENS, settings().cache, sha256=MOVIELENS_SHA256)
    except SourceError as error:
        if not error.is_transient:
            raise
        console.print(f"{error} The demo goes on with GENERATED data.", style="yellow", markup=False)
        made = generate(
            settings().cache / "generated",
            users=GENERATED_USERS,
            items=GENERATED_ITEMS,
            ratings=GENERATED_RATINGS,
            seed=GENERATED_SEED,
        )
        return str(made.folder), ""
    return MOVIELENS, MOVIELENS_SHA256


def _is_released(client: AirflowClient, ingested: Run) -> bool:
    """Whether the current release is of the bytes that a run has staged, and of nothing else."""
    staged = client.xcom(ingested.dag_id, ingested.run_id, "stage")
    if staged is None:
        raise MarqueeError(
            f"Run {ingested.run_id} left no word on what it staged: read {client.page(*_ids(ingested))}."
        )
    if current(settings().var / "serving") is None:
        return False
    ((raw,),) = _rows("SELECT raw_sha256 FROM release")
    return list(raw) == [staged["sha256"]]


def _show_addresses(console: Console) -> None:
    secret, given = credentials(settings()), settings()
    # a login is for eyes: where the output goes to a file or a log, it stays in its own file
    is_seen = sys.stdout.isatty()
    airflow = f"{given.airflow.username} / {secret.airflow_password}" if is_seen else given.airflow.username
    mlflow = f"{given.mlflow.username} / {secret.mlflow_password}" if is_seen else given.mlflow.username
    console.print()
    for name, address, login in (
        ("Airflow", given.airflow_url, airflow),
        ("MLflow", given.mlflow_uri, mlflow),
        ("Data Docs", f"{given.airflow_url}/data-docs/", airflow),
    ):
        console.print(f"{name:<10} {address}  login {login}", markup=False)
    if not is_seen:
        console.print(f"Passwords are in {given.var / FILE}, or by `marquee status --passwords`.", markup=False)


def _rows(query: str, parameters: list[Any] | None = None) -> list[tuple[Any, ...]]:
    return list(ask(query, parameters)[1])


def _ids(run: Run) -> tuple[str, str]:
    return run.dag_id, run.run_id


def _plain(text: str) -> str:
    """Text of the data, in which rich must see no markup of its own."""
    return text.replace("[", r"\[")
