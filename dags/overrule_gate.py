"""Overrule the gate: a person makes a version the champion, and says why."""

from airflow.sdk import DAG

from plugins.assets import CHAMPION
from plugins.defaults import DEFAULT_ARGS
from plugins.forms import OVERRULE_FORM
from plugins.training import overrule

with DAG(
    dag_id="overrule_gate",
    description="A version becomes champion by a person's word, recorded with who and why",
    doc_md=__doc__
    + """
1. **overrule** records who did it and why (table `decisions`), lets the alias `champion` lead to the version, and
   announces the asset `champion`, which starts `publish_recommendations`.

Without a version, the challenger of the last training becomes champion. What the gate found of it stands in
`decision.json` of its MLflow run. The next training compares its candidates with this champion. From a shell:
`marquee promote --why "..."`.
""",
    schedule=None,
    max_active_runs=1,
    default_args=DEFAULT_ARGS,
    tags=["marquee", "model"],
    params=OVERRULE_FORM,
) as dag:
    overrule.override(outlets=[CHAMPION])()
