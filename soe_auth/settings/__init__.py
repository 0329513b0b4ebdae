"""Every setting: its definition, its sources, the files that hold it."""
