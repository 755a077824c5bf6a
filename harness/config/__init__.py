"""YAML and CSV to validated values; errors name file and line."""
