"""The protocol as pure functions: authorization, token endpoint, bearer tokens."""
