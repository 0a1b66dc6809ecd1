"""Publish recommendations: the champion's lists for every user, checked, as tables that answer SQL."""

from airflow.sdk import DAG

from plugins.assets import CHAMPION, RELEASE
from plugins.defaults import DEFAULT_ARGS, SPARK_TIMEOUT
from plugins.forms import PUBLISH_FORM
from plugins.publishing import pin, release
from plugins.spark_job import SparkJobOperator
from plugins.validate import ValidateOperator

with DAG(
    dag_id="publish_recommendations",
    description="Top-K of the champion for every user: scored, checked, released in one atomic switch",
    doc_md=__doc__
    + """
1. **pin** names the model version, the data versions that it was trained on, and the release that comes of them.
2. **score** computes the lists of every user (Spark), without the items that they have rated.
3. **check** holds the lists against their contract (Great Expectations). A failure leaves the current release in place.
4. **release** builds `releases/<id>.duckdb` beside, switches `recommendations.duckdb` to it in one step, and announces
   the asset `release`.

Runs when the asset `champion` is announced. From a shell: `marquee publish`, then
`marquee sql "from recommendations limit 10"`.
""",
    schedule=[CHAMPION],
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULT_ARGS,
    tags=["marquee", "serving"],
    params=PUBLISH_FORM,
) as dag:
    pinned = pin()
    scored = SparkJobOperator(
        task_id="score",
        job="score",
        execution_timeout=SPARK_TIMEOUT,
        arguments={
            "model": pinned["model_name"],
            "version": pinned["model_version"],
            "k": pinned["k"],
            "batch": pinned["release_id"],
        },
    )
    checked = ValidateOperator(
        task_id="check", table="recommendations", batch=pinned["release_id"], arguments=scored.output
    )
    scored >> checked >> release.override(outlets=[RELEASE])(pinned)
