"""Optimisations: cached answers, early browser launch, early redirect."""
