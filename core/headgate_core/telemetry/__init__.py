"""Exporters of call records: the local store and OTLP."""
