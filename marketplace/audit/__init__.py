"""Review of whether income reached whom it should: tracing and checks."""
