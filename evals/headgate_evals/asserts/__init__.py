"""Assertions: each type decides from what was delivered whether it is as expected."""
