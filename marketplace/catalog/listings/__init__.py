"""Editing what is on sale: drafts, edits that wait for the county's look, and the history of versions."""
