"""`marquee ingest`, `train`, `promote` and `publish`: each triggers its DAG in Airflow and follows it, task by task."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from marquee.airflow_client import AirflowClient
from marquee.cli.following import is_skipped, run_dag
from marquee.cli.readings import is_url, reading_of
from marquee.settings import settings
from marquee.sources.formats import AUTO, FORMATS

INGEST, TRAIN, PUBLISH = "ingest_ratings", "train_recommender", "publish_recommendations"
PROMOTE = "overrule_gate"

Chain = Annotated[
    bool, typer.Option("--chain/--no-chain", help="Follow also the runs that this one sets off, up to the release.")
]


def ingest(
    source: Annotated[
        str, typer.Argument(metavar="FILE", help="Path, folder, archive or URL of ratings.", show_default=False)
    ],
    described: Annotated[
        str, typer.Option("--source", help="How it is read: sources/NAME.toml by its name, or a TOML file.")
    ] = "",
    format_name: Annotated[
        str, typer.Option("--format", help=f"How it is read: auto, or {', '.join(FORMATS)}.")
    ] = AUTO,
    replace: Annotated[
        bool, typer.Option("--replace", help="These become all ratings there are, in place of an addition.")
    ] = False,
    max_quarantined: Annotated[
        float | None, typer.Option(min=0, max=1, help="Stop above this share of bad ratings.", show_default="0.01")
    ] = None,
    drift: Annotated[
        str,
        typer.Option(help="A batch that differs too much from those before it: stop, or warn.", show_default="stop"),
    ] = "",
    sha256: Annotated[str, typer.Option(help="Refuse other bytes than these.", show_default=False)] = "",
    chain: Chain = True,
) -> None:
    """Bring ratings into the lake; training and publishing follow by themselves.

    It is read as --source or --format says; else as the TOML file says that `marquee inspect` wrote for it; else as a
    built-in format, or as is guessed where nothing is ambiguous.
    """
    reading = reading_of(source, described, format_name, _say)
    conf = {
        "source": absolute(source),
        "format": reading.name if reading and reading == FORMATS.get(reading.name) else AUTO,
        "mode": "replace" if replace else "append",
        "sha256": sha256.lower(),
        "max_quarantined": max_quarantined,
        "drift": drift or None,
        "reading": reading.to_json() if reading else None,
    }
    with AirflowClient.of(settings()) as client:
        runs = run_dag(client, INGEST, _only_given(conf), chain=chain)
    if is_skipped(runs[0], "accept"):
        _say("These bytes are in the lake already: nothing was added. Next: marquee train")
    else:
        _next(len(runs), {1: "marquee train", 2: "marquee publish"}, chain=chain)


def train(
    k: Annotated[int | None, typer.Option(help="Length of the lists that models are compared by.")] = None,
    feedback: Annotated[str | None, typer.Option(help="implicit or explicit.")] = None,
    rank: Annotated[list[int] | None, typer.Option(help="Number of factors; repeat it, one candidate each.")] = None,
    iterations: Annotated[int | None, typer.Option(help="Rounds of ALS.")] = None,
    regularization: Annotated[float | None, typer.Option(help="Scaled by the number of ratings.")] = None,
    alpha: Annotated[float | None, typer.Option(help="Implicit only: confidence is 1 + alpha x rating.")] = None,
    test_share: Annotated[float | None, typer.Option(help="Share of the ratings, the latest, to test on.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of the random start.")] = None,
    tuning_trials: Annotated[int | None, typer.Option(help="Search for better parameters with so many trials.")] = None,
    tuning_minutes: Annotated[float | None, typer.Option(help="Search for so long.")] = None,
    chain: Chain = True,
) -> None:
    """Compare candidates on the ratings there are; one becomes champion that is shown to be better.

    Publishing follows by itself where the champion changed.

    What is left out has the default of the DAG's form.
    """
    given = {
        "k": k,
        "feedback": feedback,
        "ranks": rank or None,
        "iterations": iterations,
        "regularization": regularization,
        "alpha": alpha,
        "test_share": test_share,
        "seed": seed,
        "tuning_trials": tuning_trials,
        "tuning_minutes": tuning_minutes,
    }
    with AirflowClient.of(settings()) as client:
        runs = run_dag(client, TRAIN, _only_given(given), chain=chain)
    _next(len(runs), {1: "marquee publish"}, chain=chain)


def promote(
    why: Annotated[str, typer.Option(help="Kept with the decision, for those who ask later.", show_default=False)],
    version: Annotated[str, typer.Option(help="Version of the model; empty: the challenger.")] = "",
    chain: Chain = True,
) -> None:
    """Overrule the gate: make a version the champion by your word; publishing follows by itself."""
    with AirflowClient.of(settings()) as client:
        runs = run_dag(client, PROMOTE, _only_given({"model_version": version or None, "why": why}), chain=chain)
    _next(len(runs), {1: "marquee publish"}, chain=chain)


def publish(
    model_version: Annotated[str, typer.Option(help="Version of the model; empty: the champion.")] = "",
    k: Annotated[int | None, typer.Option(help="Recommendations for each user.")] = None,
    why: Annotated[
        str,
        typer.Option(help="With --model-version: publish it though it was rolled back, or differs much from before."),
    ] = "",
) -> None:
    """Publish the champion's recommendations for every user as tables that answer SQL."""
    with AirflowClient.of(settings()) as client:
        run_dag(client, PUBLISH, _only_given({"model_version": model_version or None, "k": k, "why": why or None}))
    _next(1, {}, chain=True)


def absolute(source: str) -> str:
    """A path as the tasks can find it, which run in another folder; a URL as it is."""
    return source if is_url(source) or not source.strip() else str(Path(source).expanduser().absolute())


def _only_given(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _next(n_runs: int, steps: dict[int, str], *, chain: bool) -> None:
    """The step after the last run that was followed: where the chain ended early, its next link."""
    if not chain:
        _say("What follows, follows by itself. Next: marquee status")
        return
    _say("Next: " + steps.get(n_runs, 'marquee sql "from recommendations limit 10"'))


def _say(sentence: str) -> None:
    Console(highlight=False, soft_wrap=True).print(sentence, markup=False)
