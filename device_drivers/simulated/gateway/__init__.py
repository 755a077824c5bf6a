"""The gateway stub: what the DCC does with a request, an answer and an alert."""
