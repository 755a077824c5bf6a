"""A bench behind Modbus TCP or RTU: register map, interlocks, safe state and driver."""
