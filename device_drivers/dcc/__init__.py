"""DUIS messages, XML signatures and the user simulator of Clause 17.1."""
