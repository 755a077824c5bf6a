"""Leases, health and the pool of rigs."""
