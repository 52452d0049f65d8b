"""土地流转: a household lets the use of its parcels to the cooperative for a yearly rent."""
