"""The redirect's address on this machine: sockets, callback server, pages."""
