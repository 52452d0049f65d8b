"""What is for sale: products, versioned listings, certificates, search."""
