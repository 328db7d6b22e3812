"""What answers an address: a module for each group of pages."""
