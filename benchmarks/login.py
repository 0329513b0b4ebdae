"""The cost of a login: until the browser opens, from the redirect on, and in total."""

from __future__ import annotations

import asyncio
import shutil
from typing import TYPE_CHECKING

from benchmarks.browser import Login, sign_in
from benchmarks.place import PEERS
from benchmarks.table import Figure, Row

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AsyncExitStack

    from benchmarks.browser import Callback
    from benchmarks.place import Place, World
    from benchmarks.runner import Job, Rounds

_MEGABYTE = 2**20
_IDLE = 200  # connections without a request

# The limit and the aim of each row of soe-auth.
_LIMITS = {
    "redirect to request, http": ("10 ms", "5 ms"),
    "redirect to request, https": ("15 ms", "10 ms"),
    "redirect to token, http": ("12 ms", "as floor"),
    "redirect to token, https": ("18 ms", "as floor"),
    "redirect to end, http": ("1.5x", "0.8x"),
    "whole login, http": ("28x; 38 MB", "26x; 36 MB"),
}


# From start to browser; a repeated login opens the browser before it reads the settings.
_OF_LAUNCH = {
    "first login: start to browser": ("7x", ""),
    "login: start to browser": ("4x", "2.5x"),
}


async def measure_launch(world: World, rounds: Rounds) -> list[Row]:
    """Measure from the start of the process to the start of the browser's command."""
    place = world.http
    new = place.home / "new"
    first = place.with_variables(SOE_AUTH_CONFIG_DIR=str(new))
    ours = "login: start to browser"
    contenders = {
        "first login: start to browser": (
            place,
            first.soe_auth("login", "--site", place.site.url, "--client-id", "110"),
        ),
        ours: (place, place.soe_auth("login", "-p", "bench")),
        **{f"{ours}; {name}": (place, job) for name, job in _peers(place).items()},
        f"{ours}; msal": (world.https, _msal(world.https)),
    }
    seconds: dict[str, list[float]] = {what: [] for what in contenders}
    async for counts in rounds.each():
        for what, (place, job) in contenders.items():
            if job is None:
                continue
            shutil.rmtree(new, ignore_errors=True)
            running = await rounds.spawner.start(job)
            _, opened_at = await place.browser.read(running)
            running.kill()
            await rounds.spawner.costs(running, killed=True)
            if counts:
                seconds[what].append(opened_at - running.started_at[0])
    return [
        Row(
            what=what,
            wall=Figure(taken) if taken else None,
            must=must,
            aim=aim,
        )
        for what, taken in seconds.items()
        for must, aim in [_OF_LAUNCH.get(what, ("", ""))]
    ]


async def measure_return(world: World, rounds: Rounds) -> list[Row]:
    """Measure from the redirect on, with http and https, and the cost of the whole login."""
    found: dict[str, list[Row]] = {}
    for scheme, place in (("http", world.http), ("https", world.https)):
        contenders = {
            "": place.soe_auth("token", "--login", "-p", "bench"),
            "; floor": place.bare(str(PEERS / "floor.py"), place.site.url),
            **{f"; {name}": job for name, job in _peers(place).items()},
        }
        if scheme == "https":
            contenders["; msal"] = _msal(place)
        logins = await _run_logins(contenders, place, rounds)
        for name, runs in logins.items():
            for row in _rows(name, scheme, runs):
                found.setdefault(row.what.partition(";")[0], []).append(row)
    return [row for rows in found.values() for row in rows]


async def measure_hostile_clients(world: World, rounds: Rounds) -> list[Row]:
    """Measure the peak of memory of a login whose listener gets large requests."""
    place = world.http
    job = place.soe_auth("token", "--login", "-p", "bench")
    peaks: list[float] = []
    async for counts in rounds.each():
        _forget_tokens(place)
        login = await sign_in(job, place, rounds.spawner, meanwhile=_hostile)
        if counts:
            peaks.append(login.cost.rss)
    rss = Figure(peaks, "MB")
    return [Row(what="login, hostile clients", rss=rss, must="45 MB", aim="36 MB")]


def _peers(place: Place) -> Mapping[str, Job | None]:
    return {
        "google": place.peer("google_auth_oauthlib", "with_google.py", place.site.url),
        "oauth2-cli": place.peer("oauth2_cli_auth", "with_oauth2_cli_auth.py", place.site.url),
        "httpx-auth": place.peer("httpx_auth", "with_httpx_auth.py", place.site.url),
        "git-credential-oauth": _git_credential_oauth(place),
    }


def _msal(place: Place) -> Job | None:
    return place.peer("msal", "with_msal.py", place.site.url)


def _git_credential_oauth(place: Place) -> Job | None:
    path = shutil.which("git-credential-oauth")
    if path is None:
        return None
    (place.home / ".gitconfig").write_text(
        f'[credential "{place.site.url}"]\n'
        "oauthClientId = 110\noauthAuthURL = /oauth\noauthTokenURL = /oauth/access_token/json\n",
        encoding="utf-8",
    )
    programs = place.home / "programs"  # it opens no other browser
    programs.mkdir(exist_ok=True)
    if not (programs / "xdg-open").exists():
        (programs / "xdg-open").symlink_to(place.environ["BROWSER"])
    scheme, _, host = place.site.url.partition("://")
    request = f"printf 'protocol={scheme}\\nhost={host}\\n\\n'"
    there = place.with_variables(PATH=f"{programs}:{place.environ['PATH']}")
    return there.program("/bin/sh", "-c", f"{request} | {path} get | sed -n s/^password=//p")


async def _run_logins(
    contenders: Mapping[str, Job | None], place: Place, rounds: Rounds
) -> dict[str, list[Login]]:
    logins: dict[str, list[Login]] = {name: [] for name in contenders}
    stored = {path: path.read_bytes() for path in place.token_files}
    async for counts in rounds.each():
        for name, job in contenders.items():
            if job:
                _forget_tokens(place)
                login = await sign_in(job, place, rounds.spawner)
                if counts:
                    logins[name].append(login)
    for path, token in stored.items():  # the next part needs it, and the last login was a peer's
        path.touch(0o600)
        path.write_bytes(token)
    return logins


def _forget_tokens(place: Place) -> None:
    for path in place.token_files:
        path.unlink()


def _rows(name: str, scheme: str, logins: list[Login]) -> list[Row]:
    def row(what: str, **figures: Figure) -> Row:
        must, aim = ("", "") if name else _LIMITS.get(what, ("", ""))
        return Row(what=f"{what}{name}", must=must, aim=aim, **(figures if logins else {}))

    def column(field: str) -> list[float]:
        return [getattr(login, field) for login in logins]

    return [
        row(f"redirect to request, {scheme}", wall=Figure(column("exchange_left"), "ms")),
        row(f"redirect to token, {scheme}", wall=Figure(column("token_written"), "ms")),
        row(f"redirect to end, {scheme}", wall=Figure(column("gone"))),
        row(
            f"whole login, {scheme}",
            cpu=Figure([login.cost.cpu for login in logins]),
            rss=Figure([login.cost.rss for login in logins], "MB"),
        ),
    ]


async def _hostile(callback: Callback, stack: AsyncExitStack) -> None:
    """Hold connections open, and send larger requests than any browser does."""
    for _ in range(_IDLE):
        _, idle = await asyncio.open_connection("127.0.0.1", callback.port)
        stack.callback(idle.close)
    path = callback.target.partition("?")[0]
    host = f"Host: localhost:{callback.port}\r\n"
    large = "x" * _MEGABYTE
    many = "X: y\r\n" * 10_000
    for request in (
        f"GET {path}?state={large} HTTP/1.1\r\n{host}\r\n",
        f"GET {path} HTTP/1.1\r\n{host}X: {large}\r\n\r\n",
        f"GET {path} HTTP/1.1\r\n{host}{many}\r\n",
        f"POST {path} HTTP/1.1\r\n{host}Content-Length: {_MEGABYTE}\r\n\r\n{large}",
        f"GET /favicon.ico HTTP/1.1\r\n{host}\r\n" * 1000,
    ):
        for _ in range(3):
            reader, writer = await asyncio.open_connection("127.0.0.1", callback.port)
            stack.callback(writer.close)
            try:
                writer.write(request.encode())
                await writer.drain()
                async with asyncio.timeout(0.5):
                    await reader.read()
            except (ConnectionError, TimeoutError):
                pass  # the listener has closed the connection
