"""HDLC between a client and a meter (IEC 62056-46, Green Book 8), both ends, without input and output."""
