"""Byte transports behind one small interface."""
