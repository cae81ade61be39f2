"""Checks: one module each; a check finds, it never rewrites."""
