"""Tests of SRVs that the catalogue marks unknown (?) for SMETS1: planned only where a lab turns them on."""
