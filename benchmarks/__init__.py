"""Every speed claim, as a ratio against the obvious alternative, measured in the same run."""
