"""A new configuration without a restart: read it, build it aside, change over."""
