"""The command `marquee`: everything a person does by hand."""

from marquee.cli.app import app

__all__ = ["app"]
