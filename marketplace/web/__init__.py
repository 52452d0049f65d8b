"""Flask plumbing shared by every room: transaction, errors, paging, filters, headers."""
