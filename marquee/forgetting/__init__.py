"""Forgetting a person or an item: out of the raw files, the tables and the results, without a word of who it was."""
