"""How files are cut, read and written."""
