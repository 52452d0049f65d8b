"""What a canteen adds to buying: duties, approval, receiving, acceptance."""
