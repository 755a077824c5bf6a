"""Rig I/O: power, load, gas flow and tamper."""
