"""The meter twins: what an ESME and a GSME are made of, apart from any protocol."""
