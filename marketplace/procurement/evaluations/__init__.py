"""What a buyer says of goods that were accepted and paid: the last step before a purchase counts."""
