"""Migrations of the schema, oldest first. A new one is a file in ``versions`` and an entry here."""

REVISIONS = ("0001", "0002", "0003", "0004")
"""All revisions in their order; the last one is what this version of the code needs."""
