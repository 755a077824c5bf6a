"""IEC 62056-21, the optical port's own protocol: sign-on, baud change and data readout, both ends."""
