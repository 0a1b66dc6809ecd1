"""Where ratings come from: locate a source, recognise what is in it.

located = locate("https://files.grouplens.org/datasets/movielens/ml-latest-small.zip", cache)
recognised = recognise(located)  # or recognise(located, source), with a Source of one's own
"""

from marquee.sources.contents import data_files, sample
from marquee.sources.formats import AUTO, FORMATS, format_named
from marquee.sources.location import Located, locate
from marquee.sources.reading import Source
from marquee.sources.recognition import Member, Recognised, format_of, recognise

__all__ = [
    "AUTO",
    "FORMATS",
    "Located",
    "Member",
    "Recognised",
    "Source",
    "data_files",
    "format_named",
    "format_of",
    "locate",
    "recognise",
    "sample",
]
