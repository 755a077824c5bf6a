"""Tests of migration (Clauses 20.13(a) and 20.15(a))."""
