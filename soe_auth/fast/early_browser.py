"""The head start of a login: its browser is sent off before the settings are even read.

What that takes is known from the last time, or all on the command line: of a login that names the
site and the client ID, where nothing has been written down yet. The kernel's backlog holds the
browser while the login comes after; state and verifier are drawn then. Only what is light is
imported here.
"""

from __future__ import annotations

import os

from soe_auth.desktop.browser import start, watch
from soe_auth.errors import LoopbackUnavailable
from soe_auth.fast.cache import CacheKey, asked
from soe_auth.fast.replay import read_command_line
from soe_auth.files.lock import try_lock
from soe_auth.files.private_read import check_replaceable, own_directory
from soe_auth.loopback.sockets import bind, local_path

TYPE_CHECKING = False  # typing itself is not light
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from soe_auth.files.lock import Release
    from soe_auth.loopback.sockets import LoopbackSockets


# What the settings say where nobody has said anything: the redirect's host, the first port and the
# last, the browser's command.
_DEFAULTS = ("localhost", "0", "0", "")

_CLOUD = ".stackenterprise.co"
_PRACTICE = "http://localhost:"
_DEVICES = frozenset({"aux", "com", "con", "lpt", "nul", "prn"})  # of Windows, some with a digit
_PORTS = range(1024, 65536)
_LONGEST_LABEL = 63


class StartedLogin:
    """A login whose browser is on its way to the short local address.

    `known` are the profile and what the browser was sent off by, `release` gives its login lock
    back, `path` is that of the address, `pid` the browser's process.
    """

    __slots__ = ("known", "path", "pid", "release", "sockets")

    def __init__(
        self,
        known: Sequence[str],
        release: Release,
        sockets: LoopbackSockets,
        path: str,
        pid: int,
    ) -> None:
        self.known: Sequence[str] = known
        self.release: Release = release
        self.sockets: LoopbackSockets = sockets
        self.path: str = path
        self.pid: int = pid

    def give_up(self) -> None:
        """Give the port and the turn back; the browser is left to itself."""
        self.sockets.close()
        self.release()
        watch(self.pid, lambda _code: None)


def start_early(argv: Sequence[str], environ: Mapping[str, str]) -> StartedLogin | None:
    """Send the browser off for `soe-auth login`, if that is known to be all it will take.

    What is odd or in the way is for the login itself to find and to tell: None then, and nothing
    has been done.
    """
    try:
        directory, known = _what_is_known(argv, environ)
        profile, host, first, last, browser = known
        release = _turn(directory, profile)
    except (OSError, ValueError):
        return None
    if release is None:
        return None
    try:
        sockets = bind(range(int(first), int(last) + 1), host)
    except LoopbackUnavailable:
        release()
        return None
    path = local_path(os.urandom)
    pid = start(sockets.url(path), browser or None, environ)
    if pid is None:
        sockets.close()
        release()
        return None
    return StartedLogin(known, release, sockets, path, pid)


def _what_is_known(argv: Sequence[str], environ: Mapping[str, str]) -> tuple[str, list[str]]:
    """Return the config directory; and the profile with what its browser is sent off by.

    Raises ValueError where that is not known, or no login is asked for; OSError.
    """
    command, options, _ = read_command_line(argv)
    if command != "login":
        raise ValueError
    question = CacheKey(environ, asked(options.get("profile", ""), ""))
    if options.keys() & {"site", "client_id"}:
        return question.directory, [_first_profile(question, options), *_DEFAULTS]
    profile, _, _, _, _, *of_browser = question.lookup()
    return question.directory, [profile, *of_browser]


def _turn(directory: str, profile: str) -> Release | None:
    """Take the profile's login lock; None where another has it.

    Raises ValueError where a token could not be kept as it has to be, OSError.
    """
    locks, tokens = f"{directory}/locks", f"{directory}/tokens"
    if own_directory(locks, repair=False) or own_directory(tokens, repair=False):
        raise ValueError
    check_replaceable(f"{tokens}/{profile}.json")
    return try_lock(f"{locks}/{profile}.lock")


def _first_profile(question: CacheKey, options: Mapping[str, str]) -> str:
    """Return the profile of a first login, for which its directories are made.

    Raises ValueError where that is not simple, OSError.
    """
    is_plain = options.keys() == {"site", "client_id"}
    if not (is_plain and _is_number(options["client_id"]) and question.is_bare):
        raise ValueError
    profile = _profile_of(options["site"])
    for name in ("locks", "tokens"):
        _make(f"{question.directory}/{name}")
    return profile


def _profile_of(site: str) -> str:
    """Return the profile's name for a site in the plainest spelling; ValueError for any other."""
    port, name = site.removeprefix(_PRACTICE), site.removesuffix(_CLOUD)
    if port != site:
        if _is_number(port) and port[0] != "0" and int(port) in _PORTS:
            return f"localhost-{port}"
    elif (
        name.isascii()
        and name == name.lower() != "localhost"
        and name[:1].isalpha()
        and not name.endswith("-")
        and name.replace("-", "").isalnum()
        and len(name) <= _LONGEST_LABEL
        and name.rstrip("0123456789") not in _DEVICES
    ):
        return name
    raise ValueError


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= _LONGEST_LABEL


def _make(directory: str) -> None:
    """Make a directory for us alone, and what is missing above it. Raises OSError."""
    if not os.path.isdir(directory):
        _make(os.path.dirname(directory))
        os.mkdir(directory, 0o700)
        os.chmod(directory, 0o700)  # an odd umask may have left us less
