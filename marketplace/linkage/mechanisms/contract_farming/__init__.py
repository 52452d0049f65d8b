"""订单生产: the cooperative buys what a household grows, at a floor price and a premium, slip by slip."""
