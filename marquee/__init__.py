"""Marquee: ratings in, recommendations out, as a pipeline that a data team runs in production."""

__version__ = "0.1.0"
