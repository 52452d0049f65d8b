"""Share cooperation: households hold stakes, and a general meeting shares out the surplus."""
