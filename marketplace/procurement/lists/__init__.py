"""Order lists of a unit: favourites, repeats of old orders, sheets and quick entry, all leading to the cart."""
