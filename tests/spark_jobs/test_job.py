"""How a job ends when the object store refuses: exit code 1, one sentence where the task looks for it, no secret."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from marquee.lake.objects import Lake
from spark_jobs import job, normalize

WORDS = ["--batch", f"{'a' * 64}-{'b' * 8}", "--outcome", "runs/test/job.json"]


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, fresh_lake: Lake) -> Callable[..., Lake]:
    """A function that sets the environment of a job to a lake with some fields changed, and gives the right lake."""

    def given(**wrong: str) -> Lake:
        names = {"bucket": "MARQUEE_BUCKET", "secret_key": "AWS_SECRET_ACCESS_KEY", "endpoint": "AWS_ENDPOINT_URL"}
        for name, value in fresh_lake.environment().items():
            monkeypatch.setenv(name, value)
        for name, value in wrong.items():
            monkeypatch.setenv(names[name], value)
        return fresh_lake

    return given


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"bucket": "not-there"}, "Bucket not-there does not exist at "),
        ({"secret_key": "a-wrong-secret"}, "refuses the secret key"),
        ({"endpoint": "http://127.0.0.1:9"}, "does not answer"),
        ({"endpoint": ""}, "The object store is not set: AWS_ENDPOINT_URL missing"),
    ],
)
def test_the_sentence_is_in_the_log_where_the_lake_cannot_carry_it(
    environment: Callable[..., Lake], capfd: pytest.CaptureFixture[str], wrong: dict[str, str], words: str
) -> None:
    right = environment(**wrong)
    assert normalize.main(WORDS) == 1
    out, err = capfd.readouterr()
    (line,) = [line for line in err.splitlines() if job.ERROR_MARK in line]
    assert words in line
    for secret in (right.secret_key, "a-wrong-secret"):
        assert secret not in out + err
    assert "Traceback" not in err


def test_a_batch_that_was_never_staged_is_a_sentence(
    environment: Callable[..., Lake], capfd: pytest.CaptureFixture[str]
) -> None:
    lake = environment()
    assert normalize.main(WORDS) == 1
    left = lake.read_json("runs/test/job.json")
    assert "a" * 64 in left["error"] and not left["is_transient"]
    assert left["error"] in capfd.readouterr().err


@pytest.mark.parametrize(
    ("text", "sentence", "is_transient"),
    [
        (
            'File "worker.py"\nmarquee.errors.DataError: ratings.csv, line 1: no column. Mend it.\n\tat java.lang',
            "ratings.csv, line 1: no column. Mend it.", False,
        ),
        ("x\nmarquee.errors.LakeError: No answer.\nDriver stacktrace:", "No answer.", True),
        ("py4j.protocol.Py4JJavaError: java.lang.OutOfMemoryError", None, False),
    ],
)  # fmt: skip
def test_a_sentence_that_spark_carried(text: str, sentence: str | None, is_transient: bool) -> None:
    found = job.sentence_of(RuntimeError(text))
    assert (found.error if found else None) == sentence
    assert found is None or found.is_transient is is_transient
