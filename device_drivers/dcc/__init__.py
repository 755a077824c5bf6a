"""The DCC User Interface: messages, signatures, the link that a run shares and the user of a rig."""
