"""Train a recommender: candidates compared on one pinned snapshot, the best of them registered as champion."""

from airflow.sdk import DAG

from plugins.assets import CHAMPION
from plugins.defaults import DEFAULT_ARGS, SPARK_JOBS_AT_ONCE, SPARK_TIMEOUT
from plugins.forms import TRAIN_FORM
from plugins.schedules import training_schedule
from plugins.spark_job import SparkJobOperator
from plugins.training import candidates, gate, register, snapshot, standing, tuning

with DAG(
    dag_id="train_recommender",
    description="Candidates on a pinned snapshot; the champion is who is shown to beat the floor and the last champion",
    doc_md=__doc__
    + """
1. **snapshot** pins the versions of the tables and the border in time: train before it, test from it on.
   **standing** notes the champion of this moment.
2. **tuning**, **tune** search for parameters (Optuna), where the form gives a budget in trials or minutes; on the train
   side alone.
3. **candidates** lists the models to compare: the popularity floor, one a rank, what the search found, and the
   champion's own configuration.
4. **candidate** trains and evaluates each of them, one mapped task each, and keeps it as an MLflow run. Where one
   fails, the others go on.
5. **gate** decides by the paired bootstrap interval of the difference in nDCG@k, user by user: a candidate takes over
   where it beats the floor and the champion by more than luck, and breaks no guard (settings of `[gate]`).
6. **register** records the decision (table `decisions`, `decision.json` in MLflow), lets the aliases `champion` and
   `challenger` follow it, and announces the asset `champion`, which starts `publish_recommendations`. Where the
   champion stays as it is, the task is skipped, and says why.

A person overrules the gate with the DAG `overrule_gate`.

Runs when the asset `ratings` is announced, and by the cron in the setting `airflow.train_schedule`.
From a shell: `marquee train`.
""",
    schedule=training_schedule(),
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULT_ARGS,
    tags=["marquee", "model"],
    params=TRAIN_FORM,
) as dag:
    pinned, before = snapshot(), standing()
    tuned = SparkJobOperator.partial(
        task_id="tune", job="tune", max_active_tis_per_dag=1, execution_timeout=SPARK_TIMEOUT
    ).expand(arguments=tuning(pinned))
    # Without a budget there is no search, and its task is skipped.
    chosen = candidates.override(trigger_rule="none_failed")(pinned, tuned.output)
    before >> chosen
    results = SparkJobOperator.partial(
        task_id="candidate",
        job="candidate",
        map_index_template="{{ task.arguments['candidate']['name'] }}",
        max_active_tis_per_dag=SPARK_JOBS_AT_ONCE,
        execution_timeout=SPARK_TIMEOUT,
    ).expand(arguments=chosen)
    # The gate runs where candidates failed, too: they are told of, and the others go on.
    decision = gate.override(trigger_rule="all_done_min_one_success")(results.output, chosen, pinned, before)
    register.override(outlets=[CHAMPION])(decision, pinned, before)
