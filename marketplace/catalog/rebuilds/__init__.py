"""Making the search index anew on the operator's word: how far it is, stopping it, what became of it."""
