"""Tests that non-standard packs (Clause 20.17) add to the standard ones, or put in place of theirs."""
