"""The MLflow server: a run for each candidate, versions of the registered model, and the alias `champion`.

Address and credentials come from the environment, as MLflow's own client takes them: MLFLOW_TRACKING_URI,
MLFLOW_TRACKING_USERNAME, MLFLOW_TRACKING_PASSWORD. Every function may be called again with the same arguments: what is
done is found, not done twice.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version as installed
from pathlib import Path
from typing import TYPE_CHECKING, Any

from marquee import model_cards
from marquee.errors import RegistryError
from marquee.recommender_files import RecommenderFiles
from marquee.registry_errors import is_missing, registry_errors

if TYPE_CHECKING:
    import mlflow
    import pandas as pd
    from matplotlib.figure import Figure
    from mlflow.entities import Run

    from marquee.tuning import Found

CHAMPION, CHALLENGER = "champion", "challenger"
KEY_TAG = "marquee.key"
SOURCE_TAG = "marquee.source"
CANDIDATE_TAG = "marquee.candidate"
FOUND_TAG = "marquee.found"
EXPERIMENT_NOTE = "Candidates of the recommender: a run each, its metrics beside the popularity floor's (`floor_*`)."
MODEL = "recommender"
MODEL_CODE = Path(__file__).with_name("factor_model.py")
MODEL_NEEDS = ("mlflow", "numpy", "pandas", "pyarrow")


@dataclass(frozen=True)
class Candidate:
    """A finished run, as MLflow keeps it; parameters are strings there, and `tags` leaves MLflow's own out.

    `ended_at` is in UTC.
    """

    run_id: str
    name: str
    params: dict[str, str]
    metrics: dict[str, float]
    tags: dict[str, str]
    model_id: str
    ended_at: datetime | None = None

    @property
    def source(self) -> str:
        """What the model's rows say they came from: "als" or "popular"."""
        return self.tags.get(SOURCE_TAG, "")

    @property
    def rank(self) -> int | None:
        """Number of factors; None for a model without."""
        return int(self.params["rank"]) if self.params.get("rank", "").isdigit() else None


def find_candidate(experiment: str, key: str) -> Candidate | None:
    """The first finished run of the experiment with this key; None where there is none.

    Raises:
        RegistryError: the server can't be reached, or refuses.
    """
    with registry_errors(f"look for the run with key {key}"):
        client = _client()
        found = client.get_experiment_by_name(experiment)
        if found is None or found.lifecycle_stage != "active":
            return None
        runs = client.search_runs(
            [found.experiment_id],
            filter_string=f"tags.`{KEY_TAG}` = '{key}' and attributes.status = 'FINISHED'",
            order_by=["attributes.start_time ASC"],
            max_results=1,
        )
        return _candidate(runs[0]) if runs else None


def log_candidate(
    *,
    experiment: str,
    key: str,
    name: str,
    params: Mapping[str, Any],
    metrics: Mapping[str, float],
    figures: Mapping[str, Figure],
    tags: Mapping[str, str],
    files: RecommenderFiles,
    history: Sequence[Mapping[str, float]] = (),
    documents: Mapping[str, Any] | None = None,
) -> str:
    """Keep a candidate as a run with its model; a finished run with the same key is returned as it is.

    Args:
        experiment: name of the experiment; made where there is none.
        key: what the run is a function of, as a hash (no quotes in it).
        name: name of the run.
        params: shown as text.
        metrics: the floor's stand beside them as `floor_<name>`; those that are no finite numbers are left out.
        figures: by file name, as `metrics_by_k.png`.
        tags: data versions, Airflow's run, and the like. `marquee.candidate` (JSON of the candidate's configuration) is
            what `champion_candidate` gives back.
        files: the model.
        history: what each iteration of the fit came to, by name: metrics of the steps 1, 2 and so on.
        documents: plain values by file name, kept as JSON.

    Returns:
        The run's id.

    Raises:
        RegistryError: the server can't be reached, or refuses; the run then stands as failed, and the next call makes
            another.
    """
    done = find_candidate(experiment, key)
    if done is not None:
        return done.run_id
    with registry_errors(f"keep candidate {name}"), tempfile.TemporaryDirectory(prefix="marquee-model-") as temporary:
        import mlflow

        folder = Path(temporary, MODEL)  # MLflow keeps it as artifacts/<the folder's own name>
        experiment_id = _experiment(experiment)
        _end_leftovers(experiment_id, key)
        files.save(folder)
        own = {KEY_TAG: key, SOURCE_TAG: files.source}
        known = model_cards.finite(metrics)
        with mlflow.start_run(
            experiment_id=experiment_id,
            run_name=name,
            tags={**tags, **own},
            description=model_cards.run_card(name, known, tags),
            log_system_metrics=False,
        ) as run:
            # Parameters first: MLflow gives the model those that its run has by then. Metrics last and by the model's
            # name: they are the run's and the model's, where metrics logged before cost a request each.
            mlflow.log_params(dict(params))
            for file, figure in figures.items():
                mlflow.log_figure(figure, f"figures/{file}")
            for file, document in (documents or {}).items():
                mlflow.log_dict(document, file)
            _log_history(run.info.run_id, history)
            model_id = _log_model(folder, files, dict(own))
            mlflow.log_metrics(known, step=0, model_id=model_id)
            return str(run.info.run_id)


def find_tuning(experiment: str, key: str) -> dict[str, Any] | None:
    """The parameters that a finished search with this key found; None where there is none.

    Raises:
        RegistryError: the server can't be reached, or refuses.
    """
    found = find_candidate(experiment, key)
    return None if found is None else dict(json.loads(found.tags[FOUND_TAG]))


def log_tuning(
    *, experiment: str, key: str, metric: str, found: Found, tags: Mapping[str, str], asked: Mapping[str, Any]
) -> str:
    """Keep a search as a run, and each of its trials as a run nested in it.

    Args:
        key: what the search is a function of, as a hash.
        metric: name of the figure.
        found: what it came to.
        tags: Airflow's run, and the like.
        asked: budget, seed and data: the run's parameters.

    Returns:
        The run's id.

    Raises:
        RegistryError: the server can't be reached, or refuses.
    """
    with registry_errors("keep the search for parameters"):
        from mlflow.entities import Metric, Param, RunTag

        client, experiment_id = _client(), _experiment(experiment)
        _end_leftovers(experiment_id, key)
        own = {**tags, KEY_TAG: key, FOUND_TAG: json.dumps(found.params)}
        run = client.create_run(experiment_id, run_name="tuning", tags=own)
        now = int(time.time() * 1000)
        for trial in found.trials:
            nested = client.create_run(
                experiment_id, run_name=f"trial-{trial.number}", tags={**tags, "mlflow.parentRunId": run.info.run_id}
            )
            values = {metric: trial.value, f"early_{metric}": trial.early, "seconds": trial.seconds}
            client.log_batch(
                nested.info.run_id,
                metrics=[Metric(name, value, now, 0) for name, value in values.items() if value is not None],
                params=[Param(name, str(value)) for name, value in trial.params.items()],
                tags=[RunTag("state", trial.state)],
            )
            client.set_terminated(nested.info.run_id, "FINISHED" if trial.state != "fail" else "FAILED")
        plain = {name: json.dumps(value) for name, value in {**asked, **found.params}.items()}
        client.log_batch(
            run.info.run_id,
            metrics=[Metric(metric, found.value, now, 0)],
            params=[Param(name, value[:6000]) for name, value in plain.items()],
        )
        log_figures(run.info.run_id, found.pictures)
        client.set_terminated(run.info.run_id)
        return str(run.info.run_id)


def _log_history(run_id: str, history: Sequence[Mapping[str, float]]) -> None:
    """One request for all iterations."""
    from mlflow.entities import Metric

    now = int(time.time() * 1000)
    steps = [
        Metric(name, value, now, step)
        for step, figures in enumerate(history, start=1)
        for name, value in model_cards.finite(figures).items()
    ]
    if steps:
        _client().log_batch(run_id, metrics=steps[-1000:])


def run_url(run_id: str) -> str:
    """The page of a run, on the server that this process talks to; empty where that is no server.

    Raises:
        RegistryError: there is no such run, or the server refuses.
    """
    with registry_errors(f"look for the page of run {run_id}"):
        import mlflow

        server = str(mlflow.get_tracking_uri())
        if not server.startswith(("http://", "https://")):
            return ""
        experiment_id = _client().get_run(run_id).info.experiment_id
        return f"{server.rstrip('/')}/#/experiments/{experiment_id}/runs/{run_id}"


def register(run_id: str, model_name: str, description: str = "") -> str:
    """Make the run's model a version of the registered model; a run is at most one version.

    Args:
        description: why it is registered; stands on top of the version's page.

    Returns:
        The version, as "3".

    Raises:
        RegistryError: the run does not exist or has no model, or the server refuses.
    """
    with registry_errors(f"register run {run_id} as {model_name}"):
        import mlflow

        client = _client()
        candidate = _candidate(client.get_run(run_id))
        if not candidate.model_id:
            raise RegistryError(f"MLflow run {run_id} has no model, so it can't be registered: train it again.")
        if not _versions_of(client, model_name, run_id):
            mlflow.register_model(f"models:/{candidate.model_id}", model_name, tags=candidate.tags)
        version = _versions_of(client, model_name, run_id)[0]
        if not client.get_registered_model(model_name).description:  # a person's own words stay
            client.update_registered_model(model_name, model_cards.model_card(model_name))
        card = model_cards.version_card(candidate.name, run_id, candidate.metrics, candidate.tags, description)
        client.update_model_version(model_name, version, card)
        return version


def set_alias(model_name: str, name: str, version: str) -> None:
    """Let an alias lead to this version.

    Raises:
        RegistryError: there is no such version, or the server refuses.
    """
    with registry_errors(f"make version {version} of {model_name} the {name}"):
        _client().set_registered_model_alias(model_name, name, version)


def delete_alias(model_name: str, name: str) -> None:
    """Let an alias lead nowhere.

    Raises:
        RegistryError: there is no such model, or the server refuses.
    """
    with registry_errors(f"take the alias {name} from {model_name}"):
        _client().delete_registered_model_alias(model_name, name)


def champion(model_name: str) -> str | None:
    """The version that the alias `champion` leads to; None where there is no model, or no champion yet."""
    return alias(model_name, CHAMPION)


def alias(model_name: str, name: str) -> str | None:
    """The version that an alias leads to; None where there is no model, or no such alias.

    Raises:
        RegistryError: the server can't be reached, or refuses.
    """
    with registry_errors(f"look for the {name} of {model_name}"):
        try:
            aliases = _client().get_registered_model(model_name).aliases
        except Exception as error:
            if is_missing(error):
                return None
            raise
        return str(aliases[name]) if name in aliases else None


def log_figures(run_id: str, figures: Mapping[str, Figure]) -> None:
    """Keep pictures with a run, under `figures/`.

    Raises:
        RegistryError: the server can't be reached, or refuses.
    """
    with registry_errors(f"keep pictures with run {run_id}"):
        for file, figure in figures.items():
            _client().log_figure(run_id, figure, f"figures/{file}")


def log_decision(run_id: str, decision: Mapping[str, Any]) -> None:
    """Keep what the gate decided with the run that it is about, as `decision.json`.

    Raises:
        RegistryError: the server can't be reached, or refuses.
    """
    with registry_errors(f"keep the decision with run {run_id}"):
        _client().log_dict(run_id, dict(decision), "decision.json")


def read_version(model_name: str, version: str) -> Candidate:
    """The run behind a version of the registered model.

    Raises:
        RegistryError: there is no such version, or its run is gone, or the server refuses.
    """
    with registry_errors(f"read version {version} of {model_name}"):
        client = _client()
        return _candidate(client.get_run(client.get_model_version(model_name, version).run_id))


def read_run(run_id: str) -> Candidate:
    """A run, by its id.

    Raises:
        RegistryError: there is no such run, or the server refuses.
    """
    with registry_errors(f"read run {run_id}"):
        return _candidate(_client().get_run(run_id))


def description(model_name: str, version: str) -> str:
    """The page of a version, as Markdown; empty where it has none.

    Raises:
        RegistryError: there is no such version, or the server refuses.
    """
    with registry_errors(f"read the page of version {version} of {model_name}"):
        return str(_client().get_model_version(model_name, version).description or "")


def champion_candidate(model_name: str) -> dict[str, Any] | None:
    """The configuration of the champion, as its tag `marquee.candidate` has it; None where there is no champion.

    Raises:
        RegistryError: the champion's run has no configuration that can be read, or the server refuses.
    """
    version = champion(model_name)
    if version is None:
        return None
    text = read_version(model_name, version).tags.get(CANDIDATE_TAG, "")
    with suppress(ValueError):
        configuration = json.loads(text)
        if isinstance(configuration, dict):
            return configuration
    raise RegistryError(
        f"Version {version} of {model_name} does not say how it was trained (tag {CANDIDATE_TAG} of its MLflow run is "
        f"{text!r}): move the alias champion to a version that this project registered, or delete the alias."
    )


def load_files(model_name: str, version: str, into: Path) -> RecommenderFiles:
    """Download a version's model into a folder, and read it.

    Raises:
        RegistryError: there is no such version, or it is no recommender of this project, or the server refuses.
    """
    with registry_errors(f"load version {version} of {model_name}"):
        from mlflow.artifacts import download_artifacts

        uri = f"models:/{model_name}/{version}"
        into.mkdir(parents=True, exist_ok=True)
        folder = Path(download_artifacts(artifact_uri=uri, dst_path=str(into)))
    return RecommenderFiles.load(folder / "artifacts" / MODEL)


def _client() -> mlflow.MlflowClient:
    import mlflow

    return mlflow.MlflowClient()


def _experiment(name: str) -> str:
    """The id of the experiment, made where there is none; of two who make it at once, one finds the other's."""
    import mlflow

    found = _client().get_experiment_by_name(name)
    if found is not None and found.lifecycle_stage != "active":
        raise RegistryError(
            f"MLflow experiment {name!r} is deleted: restore it, or name another (setting mlflow.experiment)."
        )
    if found is not None:
        return str(found.experiment_id)
    made = mlflow.set_experiment(name)  # unlike create_experiment, safe against the race
    _client().set_experiment_tag(made.experiment_id, "mlflow.note.content", EXPERIMENT_NOTE)
    return str(made.experiment_id)


def _end_leftovers(experiment_id: str, key: str) -> None:
    """End runs with this key that still stand as running: those who made them are gone."""
    client = _client()
    same_key = f"tags.`{KEY_TAG}` = '{key}' and attributes.status = 'RUNNING'"
    for run in client.search_runs([experiment_id], filter_string=same_key):
        client.set_terminated(run.info.run_id, status="KILLED")


def _log_model(folder: Path, files: RecommenderFiles, tags: dict[str, str]) -> str:
    """Keep the model with the active run, and return its id."""
    import mlflow
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema
    from mlflow.types.schema import Array

    text, whole, real = DataType.string, DataType.long, DataType.double
    outputs = {"user_id": text, "position": whole, "item_id": text, "title": text, "score": real, "source": text}
    signature = ModelSignature(
        inputs=Schema(
            [
                ColSpec(text, "user_id", required=False),
                ColSpec(Array(text), "items", required=False),
                ColSpec(Array(real), "ratings", required=False),
            ]
        ),
        outputs=Schema([ColSpec(kind, column) for column, kind in outputs.items()]),
        params=ParamSchema([ParamSpec("k", whole, 10)]),
    )
    logged = mlflow.pyfunc.log_model(
        name=MODEL,
        python_model=str(MODEL_CODE),
        artifacts={MODEL: str(folder)},
        signature=signature,
        input_example=(_example(files), {"k": 10}),
        pip_requirements=[f"{package}=={installed(package)}" for package in MODEL_NEEDS],
        metadata={
            "source": files.source,
            "rank": files.rank,
            "users": len(files.user_ids),
            "items": len(files.item_ids),
        },
        tags=tags,
    )
    return str(logged.model_id)


def _example(files: RecommenderFiles) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame({"user_id": files.user_ids.slice(0, 3).to_pylist()})


def _versions_of(client: mlflow.MlflowClient, model_name: str, run_id: str) -> list[str]:
    """Versions that came from the run, the earliest first."""
    found = client.search_model_versions(f"name = '{model_name}' and run_id = '{run_id}'")
    return sorted((str(version.version) for version in found), key=int)


def _candidate(run: Run) -> Candidate:
    models = run.outputs.model_outputs if run.outputs else []
    return Candidate(
        run_id=str(run.info.run_id),
        name=str(run.info.run_name),
        params=dict(run.data.params),
        metrics=dict(run.data.metrics),
        tags={name: value for name, value in run.data.tags.items() if not name.startswith("mlflow.")},
        model_id=str(models[0].model_id) if models else "",
        ended_at=datetime.fromtimestamp(run.info.end_time / 1000, UTC) if run.info.end_time else None,
    )
