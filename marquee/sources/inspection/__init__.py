"""What is in a file that nobody has described: `inspect(located)` guesses how it is read, and says how sure it is."""

from marquee.sources.inspection.guesses import Answers, Confidence, Example, Guess, Inspection, Question
from marquee.sources.inspection.looking import check, inspect, source_name
from marquee.sources.inspection.writing import is_untouched, written

__all__ = [
    "Answers",
    "Confidence",
    "Example",
    "Guess",
    "Inspection",
    "Question",
    "check",
    "inspect",
    "is_untouched",
    "source_name",
    "written",
]
