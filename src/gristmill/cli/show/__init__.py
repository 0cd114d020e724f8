"""What commands print: one module for each thing they show."""
