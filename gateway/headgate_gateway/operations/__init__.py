"""What a person who runs the gateway sees and does: targets, workers, probes."""
