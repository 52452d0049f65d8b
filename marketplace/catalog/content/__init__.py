"""Words and trees shipped with the project: categories, the Jiangxi dictionary, synonyms."""
