"""On which days a cooperative delivers and how long it prepares: on product pages, at the checkout, on its desk."""
