"""Where the project file of a directory may be."""

from __future__ import annotations

import os

PYPROJECT = "pyproject.toml"
_NAMES = (".soe-auth.toml", PYPROJECT)
_MARK = ".git"  # a directory, or a file in work trees and submodules


def project_places(directory: str) -> list[str]:
    """Return the paths at which its project file may be, the strongest first.

    They go up to the root of its repository; outside of one, only the directory itself counts.
    """
    marks = repository_marks(directory)
    inside = os.path.lexists(marks[-1])
    directories = [os.path.dirname(mark) for mark in marks] if inside else [directory]
    return [os.path.join(each, name) for each in directories for name in _NAMES]


def repository_marks(directory: str) -> list[str]:
    """Return the paths at which a mark decides where its repository begins; the last has one.

    Outside of a repository none has, up to the root of the file system.
    """
    marks = []
    while True:
        marks.append(os.path.join(directory, _MARK))
        parent = os.path.dirname(directory)
        if parent == directory or os.path.lexists(marks[-1]):
            return marks
        directory = parent
