"""Evaluation: metrics, online scoring, suites and their runner."""
