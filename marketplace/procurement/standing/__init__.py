"""Standing orders: agreed once between a unit and a cooperative, delivered window by window."""
