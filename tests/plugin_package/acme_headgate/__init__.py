"""A package of somebody else: one file for each thing it adds to Headgate."""
