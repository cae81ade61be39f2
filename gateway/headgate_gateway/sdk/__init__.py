"""The border to the litellm SDK: its errors, endpoints and fetches. It is imported on first use."""
