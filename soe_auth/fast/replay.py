"""The short way: `token`, `status --check` and `run`, answered from what is known already.

They run in every commit. So are the names of profiles, which a shell asks for while somebody types.
Whatever is odd, missing or asked for in other words goes the long way, by `cli`, which alone has
something to say to a person. Where both can answer, they answer the same. Only what is light is
imported here.
"""

from __future__ import annotations

import time

from soe_auth.fast.cache import PROFILES, CacheKey, asked
from soe_auth.files.private_read import own_directory, read_private
from soe_auth.model.secret import Secret
from soe_auth.settings import TOKEN_VARIABLE

TYPE_CHECKING = False  # typing itself is not light
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_LARGEST_FILE = 64 * 1024
_LATEST = 1e11  # seconds since the epoch: the year 5138

# Each command that is known here, and its options, by the names that they are called by.
_OPTIONS = {
    "token": {
        "-p": "profile",
        "--profile": "profile",
        "--min-ttl": "min_ttl",
        "--format": "format",
    },
    "status": {"-p": "profile", "--profile": "profile", "--check": "check"},
    "run": {"-p": "profile", "--profile": "profile", "--min-ttl": "min_ttl"},
    "login": {"-p": "profile", "--profile": "profile"},
}
_LEADING = {"-p": "profile", "--profile": "profile"}


class Answer:
    """What is to be printed, if anything, or the command to become, in its environment.

    The exit code is 0.
    """

    __slots__ = ("command", "environ", "text")

    def __init__(
        self,
        text: str | None = None,
        command: list[str] | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self.text: str | None = text
        self.command: list[str] | None = command
        self.environ: Mapping[str, str] = environ or {}


def answer(
    argv: Sequence[str], environ: Mapping[str, str], now: Callable[[], float] = time.time
) -> Answer | None:
    """Answer a command line, or return None where the long way is to be gone.

    `now` gives seconds since the epoch.
    """
    try:
        if list(argv) == ["completion", "--profiles"]:
            return Answer("\n".join(CacheKey(environ, PROFILES).lookup()))
        command, options, rest = read_command_line(argv)
        if command == "login":
            return None
        given = environ.get(TOKEN_VARIABLE)
        if not given:
            token, site = _stored(environ, options, now)
        elif command == "token":
            token, site = _visible(given), None
        else:
            return None
    except (OSError, ValueError):
        return None
    match command, options.get("format", "plain"):
        case "run", _:
            from soe_auth.desktop.process import child_environment

            return Answer(command=rest, environ=child_environment(token, site, environ))
        case "token", ("plain" | "header" | "env" | "curl") as form:
            from soe_auth.cli.token_formats import written

            return Answer(written(token, form))
        case "status", _:
            return Answer()
        case _:
            return None


def read_command_line(argv: Sequence[str]) -> tuple[str, dict[str, str], list[str]]:
    """Return the command, its options as typed, and the words after them.

    Raises ValueError for a command line that is not simple.
    """
    words = list(argv)
    options: dict[str, str] = {}
    _take_options(words, _LEADING, options)
    command = words.pop(0) if words else ""
    if command not in _OPTIONS:
        raise ValueError
    _take_options(words, _OPTIONS[command], options)
    if command == "run":
        if words[:1] == ["--"]:
            del words[0]
        elif words and words[0].startswith("-"):
            raise ValueError
        if not words or not words[0]:
            raise ValueError
    elif words or (command == "status" and "check" not in options):
        raise ValueError
    return command, options, words


def _take_options(words: list[str], known: Mapping[str, str], options: dict[str, str]) -> None:
    """Take the options that the words begin with; raises ValueError where one is not simple."""
    while words and (option := known.get(words[0].partition("=")[0])):
        name, equals, value = words.pop(0).partition("=")
        if not equals and words and not words[0].startswith("-"):
            value = words.pop(0)
        is_short = not name.startswith("--")
        is_bare = option == "check" and not equals
        if option in options or (equals and is_short) or not (value or is_bare):
            raise ValueError
        options[option] = value


def _stored(
    environ: Mapping[str, str], options: Mapping[str, str], now: Callable[[], float]
) -> tuple[Secret, str]:
    """Return the token that serves the options, and its site.

    Raises ValueError where none does or the settings are not known, OSError.
    """
    given = (options.get(name, "") for name in ("profile", "min_ttl", "check"))
    question = CacheKey(environ, asked(*given))
    profile, site, client_id, scope, min_ttl, *_ = question.lookup()
    tokens = f"{question.directory}/tokens"
    if own_directory(tokens, repair=False):
        raise ValueError
    data, too_permissive = read_private(f"{tokens}/{profile}.json", _LARGEST_FILE, repair=False)
    if too_permissive:
        raise ValueError
    token, expires_at = _read_token(data, site, client_id, scope)
    left = expires_at - now()
    if left <= 0 or left < float(min_ttl):
        raise ValueError
    return token, site


def _read_token(data: bytes, site: str, client_id: str, scope: str) -> tuple[Secret, float]:
    """Read the file form of a token that is bound to these, as `Token.to_json` writes it.

    Returns the token and when it expires, in seconds since the epoch. Raises ValueError for
    anything else, also if it could be read with more effort.
    """
    opening, *binding, obtained_at, expires_at, account, token, closing, end = data.decode().split(
        "\n"
    )
    expected = [
        ' "version": 1,',
        f' "site": "{site}",',
        f' "client_id": "{client_id}",',
        f' "scope": "{scope}",',
        f' "granted_scope": "{scope}",',
    ]
    if (opening, closing, end) != ("{", "}", "") or binding != expected:
        raise ValueError
    if _value(account, "account", ",") != "null":
        _text(account, "account", ",")
    _time(obtained_at, "obtained_at")
    if _value(expires_at, "expires_at", ",") == '"never"':
        expires = float("inf")
    else:
        expires = _time(expires_at, "expires_at")
    return _visible(_text(token, "access_token", "")), expires


def _value(line: str, name: str, end: str) -> str:
    start = f' "{name}": '
    if not line.startswith(start) or not line.endswith(end):
        raise ValueError
    return line[len(start) : len(line) - len(end)]


def _text(line: str, name: str, end: str) -> str:
    value = _value(line, name, end)
    inner = value[1:-1]
    if value != f'"{inner}"' or '"' in inner or "\\" in inner or not inner.isprintable():
        raise ValueError
    return inner


def _time(line: str, name: str) -> float:
    value = _value(line, name, ",")
    time = float(value)
    if not 0 < time < _LATEST or repr(time) != value:
        raise ValueError
    return time


def _visible(value: str) -> Secret:
    """Return value as a token, if it is visible ASCII."""
    if not (value and value.isascii() and value.isprintable()) or " " in value:
        raise ValueError
    return Secret(value)
