"""What the demo is made of: written content and drawn pictures. Loading it is `marketplace/demo`."""
