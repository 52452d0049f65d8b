"""Freight: what a cooperative asks for carrying a personal order, by place and weight."""
