"""A user's place, made for the measuring: a home, an environment, a browser that only tells."""

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

_MOST = 65536  # bytes of a pipe, far more than an address or a token has
_TIME_LIMIT = 10.0  # seconds
PEERS = Path(__file__).with_name("peers")


class Pipe:
    """A named pipe; `told` awaits what is written into it, and when that was."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self.path = path
        self._end = os.open(path, os.O_RDWR | os.O_NONBLOCK)  # to write as well: it never ends
        self._arrived = asyncio.Event()
        self._at = 0.0
        asyncio.get_running_loop().add_reader(self._end, self._note)

    async def told(self, by: Running) -> tuple[str, float]:
        """Return what was written first, and the time of the monotonic clock, in seconds.

        Raises Failed where nothing comes, or who should write it has ended without that.
        """
        arrived = asyncio.create_task(self._arrived.wait())
        await asyncio.wait(
            {arrived, by.ends}, timeout=_TIME_LIMIT, return_when=asyncio.FIRST_COMPLETED
        )
        if not self._arrived.is_set():
            raise by.failure("told nothing")
        text = os.read(self._end, _MOST).decode()
        self._arrived.clear()
        asyncio.get_running_loop().add_reader(self._end, self._note)
        return text.strip(), self._at

    def _note(self) -> None:
        self._at = time.monotonic()
        asyncio.get_running_loop().remove_reader(self._end)
        self._arrived.set()

    def close(self) -> None:
        """Give it back."""
        asyncio.get_running_loop().remove_reader(self._end)
        os.close(self._end)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a user is: `python` and `peers_python` run soe-auth and its peers.

    `home` has their configuration, and the profile `bench` for the site; `directory` is where they
    work, and `browser` is told the address that a browser is sent to.
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
        """All of a user's environment: nothing of this process's own but where programs are."""
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

    def knowing(self, **variables: str) -> Self:
        """Return the same place with more variables in its environment."""
        return replace(self, variables={**self.variables, **variables})

    def soe_auth(self, *arguments: str) -> Job:
        """Run soe-auth as it is installed."""
        return self.program(str(self.python.with_name("soe-auth")), *arguments)

    def bare(self, *arguments: str) -> Job:
        """Run the Python that soe-auth is installed for."""
        return self.program(str(self.python), *arguments)

    def peer(self, package: str, script: str, *arguments: str) -> Job | None:
        """Run the script that stands for a package; None where that is not installed."""
        if not any(self.peers_python.parent.parent.glob(f"lib/*/site-packages/{package}")):
            return None
        return self.program(str(self.peers_python), str(PEERS / script), *arguments)

    def program(self, path: str, *arguments: str) -> Job:
        """Run any program."""
        return Job(argv=(path, *arguments), environ=self.environ, directory=self.directory)


@dataclass(frozen=True, slots=True)
class World:
    """Two places, each with a site of its own, on http and on https."""

    http: Place
    https: Place


@contextmanager
def place(
    directory: Path, python: Path, peers_python: Path, site: Site, **variables: str
) -> Iterator[Place]:
    """Make a place in a new directory; no profile is known there yet."""
    home, work = directory / "home", directory / "work"
    for made in (home, work):
        made.mkdir(parents=True)
    browser = Pipe(directory / "addresses")
    command = home / "browser"
    command.write_text(f'#!/bin/sh\nprintf "%s\\n" "$1" >{shlex.quote(str(browser.path))}\n')
    command.chmod(0o700)
    try:
        yield Place(python, peers_python, home, work, browser, site, variables)
    finally:
        browser.close()
