"""Misuse of the DCC's interfaces, of our own service user and of the devices (Clause 6.3(b))."""
