"""Receiving goods, inspecting them, and what becomes of what was rejected."""
