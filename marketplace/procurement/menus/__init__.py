"""Menus of a canteen: dishes by the head, a week by day, and the basket that covers it."""
