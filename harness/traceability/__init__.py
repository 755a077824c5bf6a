"""The Test Traceability Matrix, coverage and the heatmap."""
