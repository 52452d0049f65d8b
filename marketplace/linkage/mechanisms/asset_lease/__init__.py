"""资产租赁: the cooperative rents an asset of the village collective, which passes the rent on to its households."""
