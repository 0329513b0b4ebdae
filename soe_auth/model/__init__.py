"""Values without I/O: a secret, a site, a scope, a token."""
