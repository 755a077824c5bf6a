"""A rig in hand: its parts put together, opened, checked and put down."""
