"""The Test Traceability Matrix (Clause 11): what it demands, what tests it, what became of them."""
