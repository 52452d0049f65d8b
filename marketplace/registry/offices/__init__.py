"""Government bodies: villages, townships, counties and the province, whose people review, audit and supervise."""
