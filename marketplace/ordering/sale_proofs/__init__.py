"""Which certificates goods had when they were sold, whatever has become of them since."""
