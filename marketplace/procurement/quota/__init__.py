"""Reserved quotas of canteens (预留份额): the rules by place and year, the yearly filing, shared canteens."""
