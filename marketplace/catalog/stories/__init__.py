"""Stories of cooperatives: written by them, reviewed by the county before anybody is shown them."""
