"""Hypothesis strategies for settings, homes and command lines: mostly valid, sometimes not."""

import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from cli_oracle import CONFIG, SHOW, living, standing_in
from hypothesis import strategies as st
from replay_oracle import CachedPlace, tick

from soe_auth import Scope, Secret, Site, SoeAuthError
from soe_auth.settings.resolve import resolve
from soe_auth.settings.spec import TABLE

PROFILES = ("work", "home", "acme")


def mostly(first: Sequence[Any], others: Sequence[Any]) -> st.SearchStrategy[Any]:
    return st.sampled_from([*[each for each in first for _ in range(12)], *others])


SPANS = mostly(["0", "10s", "1m", " 90s "], ["10m", "2h", "1h30m", "30d", "x", "", "-1", "- 1"])
NAMES = mostly(PROFILES[:2], ["acme", "none", "a/b", "-x", "", "work\1"])
SITES = mostly(["acme"], ["acme.stackenterprise.co/x", "https://ACME.stackenterprise.co", "b", "!"])
VALUES = {
    "site": SITES,
    "client_id": mostly(["110"], ["111", "1 1"]),
    "scope": mostly(["", "write_access"], ["write_access,no_expiry", '"']),
    "min_ttl": mostly(["1m", "90s"], ["2h", "x"]),
    "store": mostly(["file"], ["keyring", "unknown"]),
    "port": mostly(["0"], ["8000-8010", "x"]),
    "browser": mostly(["true"], ["'", "a\\u0000b", "a\\u0001b"]),
    "timeout": st.just("5m"),
    "proxy": st.just("http://joe:canary-proxy@proxy.example"),
    "ca_bundle": st.just("~/ca.pem"),
}


@st.composite
def tables(draw: st.DrawFn, keys: Sequence[str]) -> str:
    """Draw the lines of a table with one key at most."""
    chosen = draw(st.lists(st.sampled_from(keys), max_size=1))
    return "".join(f'{key} = "{draw(VALUES[key])}"\n' for key in chosen)


@st.composite
def configs(draw: st.DrawFn) -> str:
    names = draw(st.lists(st.sampled_from(PROFILES), min_size=1, max_size=3, unique=True))
    lines = [draw(tables(("min_ttl", "scope", "port", "browser", "store", "timeout", "proxy")))]
    if default := draw(mostly([names[0]], [None, "none"])):
        lines.insert(0, f'default_profile = "{default}"\n')
    lines += [
        f'[profile.{name}]\nsite = "{draw(SITES)}"\nclient_id = "{draw(VALUES["client_id"])}"\n'
        + draw(tables(("scope", "min_ttl", "ca_bundle")))
        for name in names
    ]
    return "".join(lines)


PROJECT_FILES = mostly(
    ["", 'profile = "work"\n', 'site = "acme"\nclient_id = "110"\n'],
    ['site = "b"\n', 'min_ttl = "0"\n', 'scope = "write_access"\n', "=", 'profile = "none"\n'],
)
FILES = {
    "config/config.toml": configs(),
    "system/soe-auth/config.toml": mostly([""], ['min_ttl = "2h"\n', CONFIG, 'proxy = "none"\n']),
    "repository/.soe-auth.toml": PROJECT_FILES,
    "repository/inner/.soe-auth.toml": PROJECT_FILES,
    "repository/pyproject.toml": st.one_of(
        st.just("[project]\n"), PROJECT_FILES.map(lambda text: f"[tool.soe-auth]\n{text}")
    ),
    ".soe-auth.toml": PROJECT_FILES,
}
SETTERS = st.dictionaries(
    st.sampled_from(
        [*(setting.variable for setting in TABLE), "SOE_AUTH_PROFILE", "SOE_AUTH_TOKEN", "OTHER"]
    ),
    mostly(["", "work"], ["acme", "110", "10m", "file", "0", "x", "a b", "ä", "http://a:b@c"]),
    max_size=1,
)
CHANGES = {
    "expires_at": mostly([86400.0, "never"], [-10.0, 30.0, 90.0, 700.0, 4000.0, "unknown"]),
    "account": mostly(["Jane Doe", None, "Zoë"], ['"', "\\", "\u2028", "\ud800", "\ud83d\ude00"]),
    "access_token": mostly(["canary(1)*"], ['a"b', "a\\b", "x" * 3000]).map(Secret),
    "granted_scope": st.sampled_from([Scope(), Scope(("write_access",))]),
    "client_id": st.just("112"),
    "site": st.just(Site.parse("c")),
    "obtained_at": st.sampled_from([-5.0, 2e11, 1e-9, 1234.5]),
}


@st.composite
def option(draw: st.DrawFn, names: Sequence[str], values: st.SearchStrategy[str]) -> list[str]:
    """Draw an option in a valid or invalid form."""
    name, value = draw(st.sampled_from(names)), draw(values)
    forms = [[name, value]] * 6 + [[f"{name}={value}"]] * 3 + [[name], [f"{name}{value}"]]
    return draw(st.sampled_from(forms))


PROFILE = option(["-p", "--profile"], NAMES)
OPTIONS = {
    "token": [
        option(["--min-ttl"], SPANS),
        option(["--format"], mostly(["plain", "header", "env", "curl"], ["json", "foo"])),
        option(["--for"], mostly(["https://acme.stackenterprise.co/x"], ["x", "https://b/", ""])),
        mostly([["-v"]], [["-q"], ["--api", "v2.3"], ["--"], ["word"], [""], ["--mint-ttl", "1m"]]),
    ],
    "status": [
        option(["--check"], SPANS),
        option(["--check"], SPANS),
        mostly([["--check"]], [["--json"], ["word"], ["-q"]]),
    ],
    "run": [
        option(["--min-ttl"], SPANS),
        mostly([["--"]], [["--env", "NAME"], ["-q"]]),
    ],
    "completion": [st.just(["--profiles"])],
}


@st.composite
def command_lines(draw: st.DrawFn) -> list[str]:
    command = draw(st.sampled_from(["token", "token", "status", "run", "completion"]))
    leading = draw(mostly([[]], [draw(PROFILE), ["-q"]]))
    options = draw(st.lists(st.one_of(PROFILE, *OPTIONS[command]), max_size=2))
    if command == "status" and draw(st.integers(0, 3)) != 0:
        options.append(["--check"])
    words = [word for each in options for word in each]
    if command == "completion":
        words = ["--profiles"]
    if command == "run":
        words += draw(mostly([["--"], []], [["--", "--"]]))
        words += draw(
            mostly([[*SHOW, "x"], [*SHOW, "--", "-p", "run", "é"]], [[], [""], ["/none"]])
        )
    return [*leading, command, *words]


@st.composite
def places(draw: st.DrawFn, root: Path) -> CachedPlace:
    """Draw a home with config files and tokens, most of them valid for the settings."""
    home = Path(tempfile.mkdtemp(dir=root))
    cwd = draw(st.sampled_from([home, home / "repository", home / "repository" / "inner"]))
    place = CachedPlace(home, draw(SETTERS), cwd)
    for directory in (cwd, home / "repository" / "inner", place.config):
        directory.mkdir(parents=True, exist_ok=True)
    (home / "system" / "soe-auth").mkdir(parents=True)
    if draw(st.booleans()):
        (home / "repository" / ".git").mkdir()
    (place.config / "config.toml").write_text(draw(configs()))
    for name in draw(st.lists(st.sampled_from(list(FILES)[1:]), max_size=1)):
        (home / name).write_text(draw(FILES[name]))
    for profile in PROFILES:
        draw_token(draw, place, profile)
    return place


def draw_token(draw: st.DrawFn, place: CachedPlace, profile: str) -> None:
    with standing_in(place):
        try:
            found = resolve({}, profile=profile, environ=place.environ)
            site, client_id = found.require_site_and_client()
        except SoeAuthError:
            return
    bound = {"site": site, "client_id": client_id, "scope": found.scope}
    token = living(Secret(f"token-of-{profile}"), **bound, granted_scope=found.scope)
    field = draw(mostly([None], list(CHANGES)))
    if field:
        value = draw(CHANGES[field])
        if field == "expires_at" and isinstance(value, float):
            value += token.obtained_at
        token = replace(token, **{field: value})
    place.save(profile, token)
    path = place.config / "tokens" / f"{profile}.json"
    match draw(mostly([None], ["loose", "link", "twice", "cut"])):
        case "loose":
            path.chmod(0o644)
        case "link":
            path.symlink_to(path.rename(path.with_name("elsewhere")))
        case "twice":
            os.link(path, path.with_name(f"{profile}.twice"))
        case "cut":
            path.write_bytes(path.read_bytes()[:-2])
        case _:
            pass


def change(draw: Callable[[st.SearchStrategy[Any]], Any], place: CachedPlace) -> None:
    """Change the content of a file, replace or remove it, or begin or end the repository."""
    name = draw(st.sampled_from(list(FILES)))
    path = place.root / name
    tick(place.root)
    match draw(st.sampled_from(["replaced", "in place", "removed", "repository"])):
        case "replaced":
            beside = path.with_name("beside")
            beside.write_text(draw(FILES[name]))
            beside.replace(path)
        case "in place":
            path.write_text(draw(FILES[name]))
        case "removed":
            path.unlink(missing_ok=True)
        case _:
            mark = place.root / "repository" / ".git"
            mark.rmdir() if mark.exists() else mark.mkdir()
