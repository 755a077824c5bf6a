"""Devices read and written by names: what drivers and the simulated S1SP build upon."""
