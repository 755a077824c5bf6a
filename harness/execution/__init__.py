"""The pytest plugin: options, fixtures, planning, the rig scheduler."""
