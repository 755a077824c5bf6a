"""The parts of a capture: the tool that records, the file that it leaves, and what can be read in it."""
