"""Train a recommender: candidates compared on one pinned snapshot, the best of them registered as champion."""

from airflow.sdk import DAG

from plugins.assets import CHAMPION
from plugins.defaults import DEFAULT_ARGS, SPARK_JOBS_AT_ONCE, SPARK_TIMEOUT
from plugins.forms import TRAIN_FORM
from plugins.schedules import training_schedule
from plugins.spark_job import SparkJobOperator
from plugins.training import candidates, gate, register, snapshot

with DAG(
    dag_id="train_recommender",
    description="Candidates on a pinned snapshot, beside the popularity floor; the best becomes champion",
    doc_md=__doc__
    + """
1. **snapshot** pins the versions of the tables and the border in time: train before it, test from it on.
2. **candidates** lists the models to compare: one a rank, the popularity floor, and the champion's own configuration.
3. **candidate** trains and evaluates each of them, one mapped task each, and keeps it as an MLflow run.
4. **gate** chooses by nDCG@k on the same split; where nothing beats the floor, the floor is the champion.
5. **register** makes it a version of the registered model with the alias `champion`, and announces the asset
   `champion`, which starts `publish_recommendations`.

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
    pinned = snapshot()
    results = SparkJobOperator.partial(
        task_id="candidate",
        job="candidate",
        map_index_template="{{ task.arguments['candidate']['name'] }}",
        max_active_tis_per_dag=SPARK_JOBS_AT_ONCE,
        execution_timeout=SPARK_TIMEOUT,
    ).expand(arguments=candidates(pinned))
    register.override(outlets=[CHAMPION])(gate(results.output, pinned), pinned)
