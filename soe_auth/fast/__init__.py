"""Optimisations: replay of outcomes, early browser launch, early redirect.

None is needed for a right answer: the folder can be deleted. Only `__main__` imports it.
"""
