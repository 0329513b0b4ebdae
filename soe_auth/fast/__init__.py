"""Optimisations: replay of outcomes, early browser launch, early redirect.

They change no result: without this folder, each command does the same, only slower. Only `__main__`
imports it.
"""
