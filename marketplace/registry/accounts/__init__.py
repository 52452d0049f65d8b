"""Accounts of households: opened by the clerk of the village, so that a household can speak for itself."""
