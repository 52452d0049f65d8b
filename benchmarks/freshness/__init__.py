"""How long a change of a listing takes to be found, with the worker of `flask serve` running."""
