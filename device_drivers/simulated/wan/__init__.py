"""The connection between a hub and the S1SP, both ends."""
