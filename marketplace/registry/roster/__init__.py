"""Roster import: reading sheets, findings by row and column, taking the good rows."""
