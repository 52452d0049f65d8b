"""Production trusteeship: the cooperative tends a household's plots for a fee and guarantees the yield."""
