"""Orders of a pool's targets: one module each."""
