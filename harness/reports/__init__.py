"""Exports made from the records."""
