"""What is read, and where it is cut into chunks."""
