"""Where ratings come from: locate a source, recognise what is in it.

located = locate("https://files.grouplens.org/datasets/movielens/ml-latest-small.zip", cache)
recognised = recognise(located)
"""

from marquee.sources.formats import FORMATS, Format
from marquee.sources.location import Located, locate
from marquee.sources.recognition import Member, Recognised, recognise

__all__ = ["FORMATS", "Format", "Located", "Member", "Recognised", "locate", "recognise"]
