"""Misuse on purpose: what security tests do to the gateway, to our own user and to devices."""
