"""From a door in the lab file to an open association behind it."""
