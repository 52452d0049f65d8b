"""Where the platform collects what is paid on line: accounts of cooperatives with the provider, transfers to them."""
