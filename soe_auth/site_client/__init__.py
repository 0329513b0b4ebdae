"""Requests to the site: token endpoint, API, TLS and proxy."""
