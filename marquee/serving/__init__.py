"""Recommendations by HTTP, read-only, beside the published file."""
