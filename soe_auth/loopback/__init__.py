"""The loopback redirect of a login: sockets, callback server, pages."""
