"""The ``harness`` command; the only place that prints."""
