"""Forget a person, or an item: its rows leave the raw files, the tables and the results, and nothing says whose."""

from airflow.sdk import DAG

from plugins.assets import RATINGS
from plugins.defaults import DEFAULT_ARGS, SPARK_TIMEOUT
from plugins.forgetting import (
    WAITING,
    accept_request,
    announce,
    clean_again,
    clean_raw_files,
    clean_tables,
    find,
    others_rest,
    record,
)
from plugins.forms import FORGET_FORM

with DAG(
    dag_id="forget_person",
    description="A person's or item's rows out of raw files, tables and results, with a record of numbers",
    doc_md=__doc__
    + """
Started by `marquee forget --user ID` (or `--item ID`). The id must not be typed into a form, for Airflow keeps what
stands there. The command writes it into the lake, under a random name, and the run gets that name alone; the last task
removes it.

1. **accept_request** looks whether the request is there.
2. **others_rest** waits until no ingest, training or publishing runs.
3. **find** looks into all raw files, and writes down where the rows are.
4. **clean_tables** takes them out of tables, prepared parts, validation results and Data Docs. Versions that held them
   can't be read any more.
5. **clean_raw_files** empties their lines in the raw files; all other lines keep their numbers.
6. **others_rest_again**, **clean_again**: what began in the meantime, and may have brought rows along, is cleaned too.
7. **record** writes numbers, versions and times to `forget/records/`, and removes the request.
8. **announce** announces the asset `ratings`, so that a new champion and a new release follow.

A run that failed can be started again with the same request: `marquee forget --again REQUEST`.
""",
    schedule=None,
    max_active_runs=1,
    default_args=DEFAULT_ARGS,
    tags=["marquee", "data"],
    params=FORGET_FORM,
) as dag:
    request = accept_request(request="{{ params.request }}")
    resting = others_rest.override(**WAITING)()
    found = find.override(execution_timeout=SPARK_TIMEOUT)(request)
    tables = clean_tables.override(execution_timeout=SPARK_TIMEOUT)(request)
    raw_files = clean_raw_files.override(execution_timeout=SPARK_TIMEOUT)(request)
    resting_again = others_rest.override(task_id="others_rest_again", **WAITING)()
    again = clean_again.override(execution_timeout=SPARK_TIMEOUT)(request)
    done = record(request)
    request >> resting >> found >> tables >> raw_files >> resting_again >> again >> done
    announce.override(outlets=[RATINGS])(done)
