"""Contract farming by order: a unit orders before the harvest and takes what a lot's weigh slips give."""
