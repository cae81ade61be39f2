"""Configuration: typed, strict, every fault with its file and line."""
