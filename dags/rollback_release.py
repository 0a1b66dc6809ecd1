"""Roll a release back: an earlier one becomes current again, and its model the champion, once a person confirms."""

from datetime import timedelta

from airflow.sdk import DAG

from plugins.assets import RELEASE
from plugins.confirming import ConfirmOperator
from plugins.defaults import DEFAULT_ARGS
from plugins.forms import ROLLBACK_FORM
from plugins.publishing import look, roll_back

with DAG(
    dag_id="rollback_release",
    description="An earlier release and its model take the place of the current ones, recorded with who and why",
    doc_md=__doc__
    + """
1. **look** says what would be done, and fails where there is no such release.
2. **confirm** waits for a person's yes (Required Actions, on this run's page), for an hour at most, unless
   **Confirmed** is ticked in the form. Without a yes nothing is done.
3. **roll_back** records who did it and why (table `releases`); the alias `champion` and the link
   `recommendations.duckdb` go back together. Killed in between, the next try goes on.

What was rolled back does not come back by a schedule or a training: only by
`marquee publish --model-version N --why "..."` or `marquee promote`. From a shell: `marquee rollback --why "..."`;
`marquee releases` lists what there is to go back to.
""",
    schedule=None,
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULT_ARGS,
    tags=["marquee", "serving"],
    params=ROLLBACK_FORM,
) as dag:
    confirmed = ConfirmOperator(
        task_id="confirm",
        subject="Roll the release back?",
        body="{{ ti.xcom_pull(task_ids='look') }} Why: {{ params.why }}",
        response_timeout=timedelta(hours=1),
    )
    look() >> confirmed >> roll_back.override(outlets=[RELEASE])()
