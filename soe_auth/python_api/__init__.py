"""The API for Python programs, and the auth classes for HTTP clients."""
