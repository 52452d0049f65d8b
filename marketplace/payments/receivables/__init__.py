"""What units owe a cooperative, by how late it is."""
