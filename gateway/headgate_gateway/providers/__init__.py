"""Ways to reach models: one module each."""
