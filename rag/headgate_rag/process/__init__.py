"""The index process: it alone owns the embedding models and indexes of a data directory."""
