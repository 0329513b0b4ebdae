import os
import sys
from pathlib import Path

import pytest

from soe_auth.browser import find_browser, launch, recognise


def program(directory: Path, name: str, script: str = "exit 0") -> Path:
    path = directory / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def wait_for(path: Path) -> str:
    while not path.exists():
        os.sched_yield()
    return path.read_text()


@pytest.mark.parametrize(
    ("environ", "mark", "remote"),
    [
        ({}, None, None),
        ({"SSH_CONNECTION": "1 2 3 4"}, None, "an SSH session"),
        ({"SSH_TTY": "/dev/pts/1"}, None, "an SSH session"),
        ({"CODESPACES": "true"}, None, "a development container"),
        ({"REMOTE_CONTAINERS": "true"}, None, "a development container"),
        ({}, ".dockerenv", "a container"),
        ({}, "run/.containerenv", "a container"),
    ],
)
def test_a_remote_place_is_recognised(
    tmp_path: Path, environ: dict[str, str], mark: str | None, remote: str | None
) -> None:
    (tmp_path / "run").mkdir()
    if mark:
        (tmp_path / mark).touch()
    assert recognise(environ, root=tmp_path).remote == remote


def test_the_setting_comes_before_the_variable_and_that_before_the_desktop(tmp_path: Path) -> None:
    for name in ("mine", "theirs", "xdg-open"):
        program(tmp_path, name)
    environ = {"PATH": str(tmp_path), "BROWSER": "theirs --new-tab", "DISPLAY": ":0"}
    assert find_browser("mine %s", environ) == [str(tmp_path / "mine"), "%s"]
    assert find_browser(None, environ) == [str(tmp_path / "theirs"), "--new-tab"]
    assert find_browser(None, {**environ, "BROWSER": ""}) == [str(tmp_path / "xdg-open")]
    assert find_browser("absent", environ) is None


def test_browser_may_name_several_and_the_first_that_is_there_is_taken(tmp_path: Path) -> None:
    program(tmp_path, "second")
    environ = {"PATH": str(tmp_path), "BROWSER": "first:second"}
    assert find_browser(None, environ) == [str(tmp_path / "second")]


def test_without_a_display_no_desktop_opener_is_tried(tmp_path: Path) -> None:
    program(tmp_path, "xdg-open")
    assert find_browser(None, {"PATH": str(tmp_path)}) is None


def test_a_text_browser_never_takes_over_the_terminal(tmp_path: Path) -> None:
    program(tmp_path, "lynx")
    assert find_browser(None, {"PATH": str(tmp_path), "BROWSER": "lynx"}) is None


def test_macos_asks_its_own_opener(tmp_path: Path) -> None:
    program(tmp_path, "open")
    found = find_browser(None, {"PATH": str(tmp_path)}, platform="darwin")
    assert found == [str(tmp_path / "open")]


@pytest.mark.parametrize("template", ["{0}", "{0} %s"])
def test_the_browser_gets_the_url_and_nothing_of_ours(tmp_path: Path, template: str) -> None:
    out = tmp_path / "out"
    script = f'{{ echo "$@"; env; readlink /proc/self/fd/[012]; }} > {out}.new; mv {out}.new {out}'
    browser = program(tmp_path, "browser", script)
    environ = {"PATH": os.environ["PATH"], "SOE_AUTH_TOKEN": "canary", "KEPT": "yes"}
    assert launch("http://localhost:1/x", template.format(browser), environ)
    said = wait_for(out)
    assert said.startswith("http://localhost:1/x\n")
    assert "KEPT=yes" in said
    assert "canary" not in said
    assert said.count(os.devnull) >= 2


def test_a_browser_that_is_not_there_or_does_not_start_is_no_error(tmp_path: Path) -> None:
    assert not launch("http://localhost:1/x", "absent-browser", {"PATH": str(tmp_path)})
    broken = tmp_path / "broken"
    broken.write_text("#!/nowhere/interpreter\n")
    broken.chmod(0o755)
    assert not launch("http://localhost:1/x", str(broken), {})


@pytest.mark.parametrize("url", ["file:///etc/passwd", "javascript:alert(1)", "--help"])
def test_only_web_addresses_are_opened(url: str) -> None:
    with pytest.raises(ValueError, match="web addresses"):
        launch(url, sys.executable, {})
