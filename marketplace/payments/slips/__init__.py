"""Income slips (收入凭条): a household's income on paper, and a public check of the paper that names nobody."""
