"""A rig's controller over SSH: keys and pins, the connection, commands, files and forwarded ports."""
