"""Books to take away as spreadsheets: the order book and the acceptance report of a span of days."""
