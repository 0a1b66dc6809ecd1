"""Airflow, as far as these tests import it into their own process, lives in a folder of its own."""

from __future__ import annotations

import os
import tempfile

# Airflow writes its configuration there when it is imported: into the home of whoever runs the tests, otherwise.
os.environ["AIRFLOW_HOME"] = tempfile.mkdtemp(prefix="marquee-airflow-home-")
