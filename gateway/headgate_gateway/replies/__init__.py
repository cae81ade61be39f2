"""What a model says: its shape, its texts, and how they are cleared before they go out."""
