"""Fixtures for the tests of tools that use soe-auth."""
