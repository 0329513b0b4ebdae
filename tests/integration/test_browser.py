import os
import re
import signal
import sys
import threading
from functools import partial
from pathlib import Path
from queue import Queue

import pytest
from fake_programs import program

from soe_auth.desktop.browser import find_browser, has_default_browser, launch
from soe_auth.desktop.clipboard import clipboard_reader
from soe_auth.desktop.environment import detect

# The decision for Linux is the same on every system.
find_on_linux = partial(find_browser, platform="linux")


def wait_for(path: Path) -> str:
    while not path.exists():
        os.sched_yield()
    return path.read_text()


SSH = {"SSH_CONNECTION": "192.0.2.1 50000 192.0.2.2 22", "USER": "you"}
CODE = {"VSCODE_IPC_HOOK_CLI": "/tmp/vscode-ipc.sock"}  # noqa: S108  # a name, nothing is there
WSL_KERNEL = "Linux version 5.15.90.1-microsoft-standard-WSL2 (x@y) #1 SMP"


def files(root: Path, **contents: str) -> Path:
    """Write files below a root; in their names, `__` stands for a slash and `_dot_` for a dot."""
    for name, text in contents.items():
        path = root / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.mark.parametrize(
    ("environ", "there", "sentence"),
    [
        ({}, {}, None),
        ({"CI": "false"}, {}, None),
        ({"TERM_PROGRAM": "vscode"}, {}, None),  # an editor on the user's machine
        ({}, {"proc__version": "Linux version 6.1.0 (gcc)"}, None),
        ({}, {"proc__1__cgroup": "0::/init.scope"}, None),
        ({"container": "flatpak"}, {"_dot_flatpak-info": ""}, None),
        ({}, {"run___dot_containerenv": "", "run___dot_toolboxenv": ""}, None),
        ({"CI": "true"}, {}, "This is a CI job: there may be no user"),
        (
            {"CI": "1", "GITHUB_ACTIONS": "true"},
            {},
            "This is a CI job (GitHub Actions): there may be no user",
        ),
        (
            {"GITLAB_CI": "true"},
            {"_dot_dockerenv": ""},
            "This is a CI job (GitLab): there may be no user",
        ),
        ({"CODESPACES": "true", **CODE}, {}, "This is a codespace: VS Code on your own machine"),
        (
            {"REMOTE_CONTAINERS": "true", **CODE},
            {"_dot_dockerenv": ""},
            "This is a development container of VS Code: it forwards the port",
        ),
        ({**CODE, **SSH}, {}, "This is a remote window of VS Code: it forwards the port"),
        (SSH, {}, "This is an SSH session: for a browser on your own machine, type `ssh -L 8765:"),
        (SSH, {"run___dot_containerenv": ""}, "This is an SSH session: for a browser"),
        ({"SSH_TTY": "/dev/pts/1"}, {}, "This is an SSH session: for a browser"),
        ({"WSL_DISTRO_NAME": "Debian"}, {}, "This is WSL: the redirect of a browser on Windows"),
        ({}, {"proc__version": WSL_KERNEL}, "This is WSL: the redirect of a browser on Windows"),
        ({}, {"proc__version": WSL_KERNEL, "_dot_dockerenv": ""}, "This is a container: "),
        ({}, {"_dot_dockerenv": ""}, "This is a container: the redirect of a browser outside"),
        ({}, {"run___dot_containerenv": ""}, "This is a container: "),
        ({"container": "podman"}, {}, "This is a container: "),
        ({"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, {}, "This is a container: "),
        ({}, {"proc__1__cgroup": "1:name=x:/docker/4f5e"}, "This is a container: "),
    ],
)
def test_the_environment_is_detected_and_described(
    tmp_path: Path, environ: dict[str, str], there: dict[str, str], sentence: str | None
) -> None:
    place = detect(environ, root=files(tmp_path, **there))
    description = place.describe(8765)
    assert (description or "").startswith(sentence or "")
    assert (description is None) == (sentence is None) == (place.remote_reason is None)
    assert place.unattended == ("CI job" in (description or ""))


@pytest.mark.parametrize(
    ("environ", "line"),
    [
        (SSH, "ssh -L 8765:localhost:8765 you@192.0.2.2"),
        (
            {**SSH, "SSH_CONNECTION": "2001:db8::1 50000 2001:db8::2 2222"},
            "ssh -L 8765:localhost:8765 -p 2222 you@2001:db8::2",
        ),
        # Where sshd does not know the address, as behind some relays, the host name is used.
        (
            {"SSH_CONNECTION": "UNKNOWN 65535 UNKNOWN 65535", "USER": "you"},
            "ssh -L 8765:localhost:8765 you@devbox",
        ),
        ({"SSH_TTY": "/dev/pts/1", "USER": "you"}, "ssh -L 8765:localhost:8765 you@devbox"),
        (
            {**SSH, "SSH_CONNECTION": "fe80::1%eth0 5 fe80::2%eth0 22"},
            "ssh -L 8765:localhost:8765 you@devbox",
        ),
        ({**SSH, "USER": ""}, "ssh -L 8765:localhost:8765 USER@192.0.2.2"),
        ({**SSH, "USER": "-oProxyCommand=x"}, "ssh -L 8765:localhost:8765 USER@192.0.2.2"),
        ({**SSH, "USER": "you; rm x"}, "ssh -L 8765:localhost:8765 USER@192.0.2.2"),
        ({**SSH, "USER": "you\x1b[2J"}, "ssh -L 8765:localhost:8765 USER@192.0.2.2"),
    ],
)
def test_the_ssh_command_names_the_bound_port_and_is_safe_to_copy(
    tmp_path: Path, environ: dict[str, str], line: str
) -> None:
    place = detect(environ, root=files(tmp_path, proc__sys__kernel__hostname="devbox\n"))
    assert re.findall("`(.*)`", place.describe(8765) or "") == [line]
    assert place.describe(None) == (
        "This is an SSH session: your browser may be on another machine."
    )


def test_an_unsafe_host_name_becomes_a_placeholder(tmp_path: Path) -> None:
    root = files(tmp_path, proc__sys__kernel__hostname="$(reboot)\n")
    for nameless in (root, tmp_path / "nothing"):
        place = detect({"SSH_TTY": "/dev/pts/1", "USER": "you"}, root=nameless)
        assert place.ssh == "you@HOST"


@pytest.mark.rfc("8252-B.5")
def test_the_browser_setting_precedes_the_variable_and_the_desktop(tmp_path: Path) -> None:
    for name in ("mine", "theirs", "xdg-open"):
        program(tmp_path, name)
    environ = {"PATH": str(tmp_path), "BROWSER": "theirs --new-tab", "DISPLAY": ":0"}
    assert find_on_linux("mine %s", environ) == [str(tmp_path / "mine"), "%s"]
    assert find_on_linux(None, environ) == [str(tmp_path / "theirs"), "--new-tab"]
    assert find_on_linux(None, {**environ, "BROWSER": ""}) == [str(tmp_path / "xdg-open")]
    assert find_on_linux("absent", environ) is None


def test_the_first_browser_found_in_the_variable_is_used(tmp_path: Path) -> None:
    program(tmp_path, "second")
    environ = {"PATH": str(tmp_path), "BROWSER": os.pathsep.join(("first", "second"))}
    assert find_on_linux(None, environ) == [str(tmp_path / "second")]


def test_without_a_display_no_desktop_opener_is_used(tmp_path: Path) -> None:
    program(tmp_path, "xdg-open")
    assert find_browser(None, {"PATH": str(tmp_path)}) is None


@pytest.mark.rfc("8252-8.12")
@pytest.mark.parametrize(
    "command", ["lynx", "{0}/lynx %s", "env TERM=dumb lynx", "/usr/bin/env lynx %s", "web"]
)
def test_a_text_mode_browser_is_never_started(tmp_path: Path, command: str) -> None:
    (tmp_path / "web").symlink_to(program(tmp_path, "lynx"))  # as /etc/alternatives do
    (tmp_path / "env").symlink_to("/usr/bin/env")
    environ = {"PATH": str(tmp_path), "DISPLAY": ":0"}
    command = command.format(tmp_path)
    assert find_browser(command, environ) is None
    assert find_browser(None, {**environ, "BROWSER": command}) is None
    (tmp_path / "x-www-browser").symlink_to(tmp_path / "lynx")
    assert find_browser(None, environ) is None


@pytest.mark.posix("env is a program of POSIX")
def test_env_may_start_a_graphical_browser(tmp_path: Path) -> None:
    command = "/usr/bin/env LANG=C firefox -P work %s"
    assert find_browser(command, {"PATH": str(tmp_path)}) == command.split()


@pytest.mark.parametrize("opener", ["xdg-open", "sensible-browser", "gio open"])
def test_without_a_display_an_opener_that_would_choose_a_text_browser_is_not_started(
    tmp_path: Path, opener: str
) -> None:
    program(tmp_path, opener.split(maxsplit=1)[0])
    environ = {"PATH": str(tmp_path), "BROWSER": opener}
    assert find_on_linux(None, environ) is None
    assert find_on_linux(opener, environ) is None
    assert find_on_linux(None, {**environ, "WAYLAND_DISPLAY": "wayland-0"})


def test_a_command_with_an_open_quote_is_skipped(tmp_path: Path) -> None:
    program(tmp_path, "second")
    environ = {"PATH": str(tmp_path), "BROWSER": os.pathsep.join(("it's", "second"))}
    assert find_on_linux(None, environ) == [str(tmp_path / "second")]


def test_a_ci_job_uses_no_desktop_opener(tmp_path: Path) -> None:
    program(tmp_path, "xdg-open")
    environ = {"PATH": str(tmp_path), "DISPLAY": ":99", "CI": "true"}
    assert find_on_linux(None, environ) is None
    assert find_on_linux(None, {**environ, "BROWSER": "xdg-open"})


@pytest.mark.posix("VS Code's helper and WSL are of Linux")
def test_wsl_opens_the_url_on_windows_without_a_shell(tmp_path: Path) -> None:
    bin_, root = tmp_path / "bin", tmp_path / "root"
    windows = root / "mnt/c/Windows/System32"
    for directory in (bin_, windows):
        directory.mkdir(parents=True)
    program(bin_, "xdg-open")
    environ = {"PATH": str(bin_), "DISPLAY": ":0", "WSL_DISTRO_NAME": "Debian"}
    assert find_browser(None, environ, root=root) == [str(bin_ / "xdg-open")]
    rundll = program(windows, "rundll32.exe")
    assert find_browser(None, environ, root=root) == [str(rundll), "url.dll,FileProtocolHandler"]
    program(bin_, "rundll32.exe")  # WSL adds the PATH of Windows by default
    assert find_browser(None, environ, root=root) == [
        str(bin_ / "rundll32.exe"),
        "url.dll,FileProtocolHandler",
    ]
    program(bin_, "wslview")
    assert find_browser(None, environ, root=root) == [str(bin_ / "wslview")]
    assert find_browser("xdg-open", environ, root=root) == [str(bin_ / "xdg-open")]


@pytest.mark.posix("VS Code's helper and WSL are of Linux")
def test_the_helper_of_vs_code_is_used_like_any_browser(tmp_path: Path) -> None:
    helper = program(tmp_path, "browser.sh")
    environ = {**CODE, **SSH, "PATH": str(tmp_path), "BROWSER": str(helper)}
    assert find_browser(None, environ) == [str(helper)]


@pytest.mark.rfc("8252-B.4")
def test_macos_uses_its_own_opener(tmp_path: Path) -> None:
    program(tmp_path, "open")
    found = find_browser(None, {"PATH": str(tmp_path)}, platform="darwin")
    assert found == [str(tmp_path / "open")]


def test_windows_runs_a_program_and_no_script(tmp_path: Path) -> None:
    for name in ("firefox.exe", "script.cmd"):
        program(tmp_path, name)
    environ = {"PATH": str(tmp_path)}
    find = partial(find_browser, environ=environ, platform="win32")
    assert find("firefox -P work %s") == [str(tmp_path / "firefox.exe"), "-P", "work", "%s"]
    assert find(f'"{tmp_path / "firefox.exe"}" --new') == [str(tmp_path / "firefox.exe"), "--new"]
    assert find("script.cmd") is None  # cmd.exe would interpret the URL
    assert find(None) is None
    assert has_default_browser(None, environ, platform="win32")
    assert not has_default_browser("firefox", environ, platform="win32")
    assert not has_default_browser(None, {"CI": "true"}, platform="win32")
    assert not has_default_browser(None, environ, platform="darwin")


@pytest.mark.rfc("8252-6")
@pytest.mark.posix("runs a POSIX shell")
@pytest.mark.parametrize("template", ["{0}", "{0} %s"])
def test_the_browser_gets_the_url_but_no_terminal_and_no_variable_of_soe_auth(
    tmp_path: Path, template: str
) -> None:
    out = tmp_path / "out"
    script = f'{{ echo "$@"; env; readlink /proc/self/fd/[012]; }} > {out}.new; mv {out}.new {out}'
    browser = program(tmp_path, "browser", script)
    environ = {"PATH": os.environ["PATH"], "SOE_AUTH_TOKEN": "canary", "KEPT": "yes"}
    assert launch("http://localhost:1/x", template.format(browser), environ)
    output = wait_for(out)
    assert output.startswith("http://localhost:1/x\n")
    assert "KEPT=yes" in output
    assert "canary" not in output
    assert output.count(os.devnull) >= 2


def test_a_browser_that_does_not_start_is_reported_as_false(tmp_path: Path) -> None:
    assert not launch("http://localhost:1/x", "absent-browser", {"PATH": str(tmp_path)})
    broken = tmp_path / "broken"
    broken.write_text("#!/nowhere/interpreter\n")
    broken.chmod(0o755)
    assert not launch("http://localhost:1/x", str(broken), {})


@pytest.mark.posix("runs a POSIX shell")
@pytest.mark.parametrize("code", [0, 3])
def test_the_exit_code_is_reported_and_no_zombie_is_left(tmp_path: Path, code: int) -> None:
    exit_codes: Queue[int] = Queue()
    browser = program(tmp_path, "browser", f"exit {code}")
    assert launch("http://localhost:1/x", str(browser), {}, exit_codes.put)
    assert exit_codes.get(timeout=10) == code
    with pytest.raises(ChildProcessError):  # no child, not even a zombie
        os.waitpid(-1, os.WNOHANG)


@pytest.mark.posix("sends a POSIX signal")
def test_a_program_may_reap_its_children_itself(tmp_path: Path) -> None:
    exit_codes: Queue[int] = Queue()
    before = threading.enumerate()
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    browser = program(tmp_path, "browser", f"read line < {fifo}")
    previous = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        assert launch("http://localhost:1/x", str(browser), {}, exit_codes.put)
        fifo.write_text("go\n")
        for thread in set(threading.enumerate()) - set(before):
            thread.join(10)
    finally:
        signal.signal(signal.SIGCHLD, previous)
    assert exit_codes.empty()


@pytest.mark.parametrize("url", ["file:///etc/passwd", "javascript:alert(1)", "--help"])
def test_only_web_addresses_are_opened(url: str) -> None:
    with pytest.raises(ValueError, match="web addresses"):
        launch(url, sys.executable, {})


# --- the clipboard ---


@pytest.mark.parametrize(
    ("variables", "platform", "tool"),
    [
        ({"WAYLAND_DISPLAY": "wayland-0", "DISPLAY": ":0"}, "linux", "wl-paste"),
        ({"DISPLAY": ":0"}, "linux", "xclip"),
        ({"DISPLAY": ":0"}, "linux", "xsel"),
        ({}, "darwin", "pbpaste"),
    ],
)
def test_the_clipboard_is_read_by_the_desktops_own_tool(
    tmp_path: Path, variables: dict[str, str], platform: str, tool: str
) -> None:
    program(tmp_path, tool, 'printf %s "copied$SOE_AUTH_TOKEN"')
    environ = {**variables, "PATH": f"{tmp_path}{os.pathsep}{os.defpath}", "SOE_AUTH_TOKEN": "x"}
    read = clipboard_reader(environ, platform=platform)
    assert read
    if sys.platform != "win32":  # which runs no such script
        assert read() == "copied"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="it runs no such script")
@pytest.mark.parametrize("ends", ["cat /dev/zero", "sleep 600"])
def test_a_clipboard_tool_is_stopped_at_a_size_and_a_time(tmp_path: Path, ends: str) -> None:
    program(tmp_path, "xclip", f"printf address; exec {ends}")
    environ = {"DISPLAY": ":0", "PATH": f"{tmp_path}{os.pathsep}{os.defpath}"}
    read = clipboard_reader(environ, platform="linux")
    assert read
    assert read().rstrip("\0") == "address"


def test_without_a_display_or_a_tool_there_is_no_clipboard(tmp_path: Path) -> None:
    program(tmp_path, "xclip", "echo copied")
    assert clipboard_reader({"PATH": str(tmp_path)}, platform="linux") is None
    assert clipboard_reader({"DISPLAY": ":0", "PATH": "/none"}, platform="linux") is None
    (tmp_path / "xclip").write_text("no program")
    read = clipboard_reader({"DISPLAY": ":0", "PATH": str(tmp_path)}, platform="linux")
    assert read
    assert read() == ""


def test_windows_needs_no_tool_to_read_the_clipboard() -> None:
    assert clipboard_reader({}, platform="win32")
