"""Ingest ratings: a file, folder, archive or URL of ratings becomes a validated version of the lake's tables."""

from airflow.sdk import DAG

from plugins.assets import RATINGS
from plugins.defaults import DEFAULT_ARGS, SPARK_TIMEOUT
from plugins.forms import INGEST_FORM
from plugins.ingest import accept, is_new, stage
from plugins.spark_job import SparkJobOperator
from plugins.validate import ValidateOperator

with DAG(
    dag_id="ingest_ratings",
    description="A file of ratings into the lake: staged, normalized, validated, accepted",
    doc_md=__doc__
    + """
1. **stage** keeps the bytes as received, under their sha256, and how they are read.
2. **is_new** stops here, with success, when the tables hold exactly these bytes, read the same way, already.
3. **normalize** sorts every row into ratings, items, splits or quarantine; accepted + quarantined = read.
4. **validate_…** holds the batch against its contract and the batches before it (Great Expectations). A failure stops
   the run, and no table moves; warnings are recorded in the table `data_quality`.
5. **accept** makes the batch part of the tables, where a later rating takes the place of an earlier one, and announces
   the asset `ratings`, which starts `train_recommender`.

Refused rows: `marquee quarantine`.

From a shell: `marquee ingest SOURCE`.
""",
    schedule=None,
    max_active_runs=1,
    default_args=DEFAULT_ARGS,
    tags=["marquee", "data"],
    params=INGEST_FORM,
) as dag:
    staged = stage(source="{{ params.source }}", sha256="{{ params.sha256 or '' }}")
    new = is_new(staged, mode="{{ params.mode }}")
    normalized = SparkJobOperator(
        task_id="normalize",
        job="normalize",
        execution_timeout=SPARK_TIMEOUT,
        arguments={"batch": staged["batch"], "max_quarantined": "{{ params.max_quarantined }}"},
    )
    how = {
        "mode": "{{ params.mode }}",
        "max_quarantined": "{{ params.max_quarantined }}",
        "drift": "{{ params.drift }}",
    }
    ratings_validated = ValidateOperator(
        task_id="validate_ratings", table="ratings", batch=staged["batch"], arguments=how
    )
    items_validated = ValidateOperator(
        task_id="validate_items", table="items", beside=("splits", "quarantine"), batch=staged["batch"]
    )
    accepted = accept.override(outlets=[RATINGS])(staged, mode="{{ params.mode }}")
    new >> normalized >> [ratings_validated, items_validated] >> accepted
