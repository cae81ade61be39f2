"""Retrieval: documents in, cited passages out; everything heavy lives in one process of its own."""
