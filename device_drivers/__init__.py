"""Talks to devices and to the DCC; knows nothing of packs, verdicts or reports."""
