"""Interest on what a unit pays late: computed by the day, a claim of its own, waived with a reason."""
