"""Recognition of aid products: application, steps with a public notice, spot checks, lapse."""
