"""What is in a file that nobody has described: `inspect(located)` guesses how it is read, and says how sure it is."""

from marquee.sources.inspection.guesses import Answers, Confidence, Example, Guess, Inspection, Question
from marquee.sources.inspection.looking import inspect, source_name

__all__ = ["Answers", "Confidence", "Example", "Guess", "Inspection", "Question", "inspect", "source_name"]
