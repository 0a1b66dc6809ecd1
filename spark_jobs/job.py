"""How every job starts and ends: arguments in, one outcome out, one sentence when it fails."""

from __future__ import annotations

import argparse
import sys
import traceback
from collections.abc import Callable
from typing import Any

from marquee.errors import MarqueeError
from marquee.lake import outcome
from marquee.lake.objects import Lake
from marquee.lake.outcome import ERROR_MARK


def say(line: str) -> None:
    """A line for the task's log: what happened, in numbers."""
    print(f"marquee: {line}", flush=True)


def parser(description: str | None) -> argparse.ArgumentParser:
    """A parser with the argument that all jobs share."""
    arguments = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--outcome", required=True, help="key in the lake where the job leaves its outcome (JSON)")
    return arguments


def run(arguments: argparse.Namespace, job: Callable[[argparse.Namespace, Lake], dict[str, Any]]) -> int:
    """Run the job, leave its outcome in the lake, and return the exit code.

    A `MarqueeError`, also one that Spark carried out of an executor, becomes its sentence; anything else keeps
    its traceback.
    """
    lake: Lake | None = None
    try:
        lake = Lake.from_environment()
        result = job(arguments, lake)
        outcome.save(lake, arguments.outcome, outcome.Outcome(result))
        return 0
    except MarqueeError as error:
        failed = outcome.Outcome(error=str(error), is_transient=error.is_transient)
    except Exception as error:
        carried = sentence_of(error)
        if carried is None:
            traceback.print_exc()
            carried = outcome.Outcome(
                error=f"{type(error).__name__}: {str(error).strip().splitlines()[0]}", is_transient=True
            )
        failed = carried
    print(f"{ERROR_MARK}{failed.error}", file=sys.stderr, flush=True)
    if lake is not None:
        try:
            outcome.save(lake, arguments.outcome, failed)
        except MarqueeError as unsaved:
            say(f"the outcome could not be left in the lake either: {unsaved}")
    return 1


def sentence_of(error: Exception) -> outcome.Outcome | None:
    """The `MarqueeError` inside a Spark error: an executor's traceback names it as `marquee.errors.Kind: sentence`."""
    for line in reversed(str(error).splitlines()):
        kind, colon, sentence = line.strip().partition(": ")
        if colon and kind.startswith("marquee.errors."):
            # The class is all that is left of the error: what the store refused may pass, what the data is may not.
            return outcome.Outcome(error=sentence, is_transient=kind == "marquee.errors.LakeError")
    return None
