"""The linkage mechanisms: a package each, one line each in table.py (rules) and pages.py (pages)."""
