"""`python -m marquee.cli`, for where the command is not installed."""

from marquee.cli import app

app()
