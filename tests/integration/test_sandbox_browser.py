"""The scripted browser signs in to the sandbox without a user."""

import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from urllib.parse import parse_qsl, urlsplit

import pytest
from aiohttp import web
from sandbox_client import request_for

from soe_auth.desktop.process import split_command
from soe_auth.sandbox import Sandbox, running
from soe_auth.sandbox.scripted_browser import (
    VisitStopped,
    run_scripted_browser,
    scripted_browser_command,
    visit,
)


@pytest.mark.parametrize("platform", ["linux", "win32"])
@pytest.mark.parametrize("python", ["/opt/a b/python3", r"C:\Program Files\py\python.exe"])
def test_its_command_has_the_quotes_that_each_system_reads(platform: str, python: str) -> None:
    words = [python, "-P", "-m", "soe_auth.sandbox.scripted_browser"]
    command = scripted_browser_command(python, platform=platform)
    assert split_command(command, platform=platform) == words


def start(site: Sandbox, **changes: str) -> str:
    own_page = f"{site.url}/oauth/login_success"
    return site.url + request_for(**{"client_id": "112", "redirect_uri": own_page, **changes})


@pytest.fixture
async def narration() -> list[str]:
    return []


@pytest.fixture
async def site(narration: list[str]) -> AsyncIterator[Sandbox]:
    async with Sandbox(narrate=narration.append) as site:
        yield site


async def serving(answers: dict[str, Callable[[], web.Response]]) -> tuple[web.AppRunner, str]:
    async def answer(request: web.Request) -> web.Response:
        return answers[request.path]()

    application = web.Application()
    application.add_routes([web.get(path, answer) for path in answers])
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return runner, f"http://127.0.0.1:{runner.addresses[0][1]}"


async def test_it_signs_in_approves_and_reads_the_last_page(
    site: Sandbox, narration: list[str]
) -> None:
    visited: list[str] = []
    page = await visit(start(site), narrate=visited.append)
    assert page.status == 200
    assert set(dict(parse_qsl(urlsplit(page.url).query))) == {"code", "state"}
    assert "Authorizing Application" in page.text
    assert "Jane Doe approved." in narration
    assert visited[-1] == f"{site.url}/oauth/login_success answered 200."
    assert "code" not in repr(page)


async def test_it_signs_in_with_the_named_account(site: Sandbox, narration: list[str]) -> None:
    await visit(start(site), account="Site Admin")
    assert "Site Admin signed in." in narration


async def test_it_can_refuse(site: Sandbox, narration: list[str]) -> None:
    page = await visit(start(site), refuse=True)
    assert dict(parse_qsl(urlsplit(page.url).query))["error"] == "access_denied"
    assert "Jane Doe refused." in narration


async def test_it_signs_in_with_no_other_account(site: Sandbox) -> None:
    with pytest.raises(VisitStopped, match="no account with the name 'Unknown'"):
        await visit(start(site), account="Unknown")


@pytest.mark.parametrize(
    "url", ["https://example.com/", "file:///etc/passwd", "http://localhost.example/", "x"]
)
async def test_it_connects_to_loopback_only(url: str) -> None:
    with pytest.raises(VisitStopped, match="not on this computer"):
        await visit(url)


async def test_it_follows_no_redirect_to_another_computer() -> None:
    away = {"/": lambda: web.Response(status=302, headers={"Location": "https://example.com/"})}
    runner, url = await serving(away)
    with pytest.raises(VisitStopped, match="not on this computer"):
        await visit(f"{url}/")
    await runner.cleanup()


async def test_it_stops_in_a_redirect_loop() -> None:
    runner, url = await serving({"/": lambda: web.Response(status=302, headers={"Location": "/"})})
    with pytest.raises(VisitStopped, match="not reached within 20 pages"):
        await visit(f"{url}/")
    await runner.cleanup()


async def test_it_starts_at_a_short_local_address_and_submits_no_other_form(
    site: Sandbox,
) -> None:
    callback = '<input name="lone"><button>lone</button><form id="other"><button>Go</button></form>'
    runner, url = await serving({"/callback": lambda: web.Response(text=callback)})
    target = start(site, client_id="111", redirect_uri=f"{url}/callback")
    short, short_url = await serving(
        {"/abc": lambda: web.Response(status=302, headers={"Location": target})}
    )
    page = await visit(f"{short_url}/abc")
    assert page.text == callback
    assert page.url.startswith(f"{url}/callback?code=")
    await short.cleanup()
    await runner.cleanup()


def test_it_is_a_browser_command(capsys: pytest.CaptureFixture[str]) -> None:
    with running() as site:
        assert run_scripted_browser(["--account", "John Doe", start(site)]) == 0
        assert run_scripted_browser(["--refuse", start(site)]) == 0
        assert capsys.readouterr() == ("", "")
        assert run_scripted_browser([start(site, client_id="999")]) == 1
        output = capsys.readouterr()
        assert output == ("", f"scripted_browser: {site.url}/oauth answered 400\n")
    assert run_scripted_browser([start(site)]) == 1
    assert capsys.readouterr().err.startswith("scripted_browser: ")


@pytest.mark.posix("not tried on Windows yet; tests/windows runs the command there")
@pytest.mark.process
def test_it_runs_as_a_module() -> None:
    with running() as site:
        done = subprocess.run(
            [sys.executable, "-W", "error", "-m", "soe_auth.sandbox.scripted_browser", start(site)],
            capture_output=True,
            timeout=30,
            check=False,
        )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
