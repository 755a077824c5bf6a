"""Our own sans-IO DLMS/COSEM stack; client and server share one codec."""
