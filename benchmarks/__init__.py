"""Measure the time and memory of an installed soe-auth: `make bench`."""
