"""The environment of a simulated user: home, variables, and a browser that reports its address."""

from __future__ import annotations

import asyncio
import os
import shlex
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

from benchmarks.runner import Job

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from benchmarks.runner import Running
    from benchmarks.site import Site

_MOST = 65536  # bytes to read from a pipe, far above the length of an address or a token
_TIME_LIMIT = 10.0  # seconds
PEERS = Path(__file__).with_name("peers")


class Pipe:
    """A named pipe; `read` waits for text in it, and returns when it arrived."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self.path = path
        self._end = os.open(
            path, os.O_RDWR | os.O_NONBLOCK
        )  # open for writing too, so that it has no end of file
        self._arrived = asyncio.Event()
        self._at = 0.0
        asyncio.get_running_loop().add_reader(self._end, self._note)

    async def read(self, by: Running) -> tuple[str, float]:
        """Return the first text, and its time of the monotonic clock, in seconds.

        Raises BenchmarkError if nothing arrives in time, or if the writer ends first.
        """
        arrived = asyncio.create_task(self._arrived.wait())
        await asyncio.wait(
            {arrived, by.ends}, timeout=_TIME_LIMIT, return_when=asyncio.FIRST_COMPLETED
        )
        if not self._arrived.is_set():
            raise by.failure("wrote nothing")
        text = os.read(self._end, _MOST).decode()
        self._arrived.clear()
        asyncio.get_running_loop().add_reader(self._end, self._note)
        return text.strip(), self._at

    def _note(self) -> None:
        self._at = time.monotonic()
        asyncio.get_running_loop().remove_reader(self._end)
        self._arrived.set()

    def close(self) -> None:
        """Close the pipe."""
        asyncio.get_running_loop().remove_reader(self._end)
        os.close(self._end)


@dataclass(frozen=True, slots=True)
class Place:
    """The environment of a user: `python` and `peers_python` run soe-auth and the other tools.

    `home` has the configuration, with the profile `bench` for the site; `directory` is the working
    directory, and `browser` receives the address that a browser is opened with.
    """

    python: Path
    peers_python: Path
    home: Path
    directory: Path
    browser: Pipe
    site: Site
    variables: Mapping[str, str]

    @property
    def environ(self) -> dict[str, str]:
        """All variables of the user; only PATH is from this process."""
        return {
            "HOME": str(self.home),
            "LANG": "C.UTF-8",
            "PATH": os.environ["PATH"],
            "BROWSER": str(self.home / "browser"),
            "SOE_AUTH_CONFIG_DIR": str(self.home / "config"),
            "XDG_CONFIG_DIRS": str(self.home / "system"),
            **self.variables,
        }

    @property
    def token_files(self) -> list[Path]:
        """The stored tokens."""
        return sorted((self.home / "config/tokens").glob("*.json"))

    def with_variables(self, **variables: str) -> Self:
        """Return the same place with more variables."""
        return replace(self, variables={**self.variables, **variables})

    def soe_auth(self, *arguments: str) -> Job:
        """Return a job that runs the installed soe-auth."""
        return self.program(str(self.python.with_name("soe-auth")), *arguments)

    def bare(self, *arguments: str) -> Job:
        """Return a job that runs the Python of soe-auth."""
        return self.program(str(self.python), *arguments)

    def peer(self, package: str, script: str, *arguments: str) -> Job | None:
        """Return a job that runs the script of a package; None if that is not installed."""
        if not any(self.peers_python.parent.parent.glob(f"lib/*/site-packages/{package}")):
            return None
        return self.program(str(self.peers_python), str(PEERS / script), *arguments)

    def program(self, path: str, *arguments: str) -> Job:
        """Return a job that runs a program."""
        return Job(argv=(path, *arguments), environ=self.environ, directory=self.directory)


@dataclass(frozen=True, slots=True)
class World:
    """Two places, each with its own site, on http and on https."""

    http: Place
    https: Place


@contextmanager
def place(
    directory: Path, python: Path, peers_python: Path, site: Site, **variables: str
) -> Iterator[Place]:
    """Create a place in a new directory, without a profile."""
    home, work = directory / "home", directory / "work"
    for path in (home, work):
        path.mkdir(parents=True)
    browser = Pipe(directory / "addresses")
    command = home / "browser"
    command.write_text(f'#!/bin/sh\nprintf "%s\\n" "$1" >{shlex.quote(str(browser.path))}\n')
    command.chmod(0o700)
    try:
        yield Place(python, peers_python, home, work, browser, site, variables)
    finally:
        browser.close()
