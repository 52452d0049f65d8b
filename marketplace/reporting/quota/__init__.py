"""How far reserved quotas are fulfilled: progress of a unit, ranking of a county, yearly reports. Reads only."""
