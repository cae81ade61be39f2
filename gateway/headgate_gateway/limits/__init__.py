"""Requests per minute, counted in this process or in the one state process of the machine."""
