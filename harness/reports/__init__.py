"""Exports made from the records: each can be made again, to the same bytes, from plan, journals, evidence."""

from harness.reports.rendering import render_all

__all__ = ["render_all"]
