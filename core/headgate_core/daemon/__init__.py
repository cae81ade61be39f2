"""At most one helper process of a kind per data directory, reached over a unix socket."""
