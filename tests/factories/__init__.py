"""Rows for the tests, made with factory-boy. One module a capability; people are invented."""
