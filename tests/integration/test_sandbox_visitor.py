"""The user with a browser, for places that have none."""

import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from urllib.parse import parse_qsl, urlsplit

import pytest
from aiohttp import web
from sandbox_client import request_for

from soe_auth.sandbox import Sandbox, running
from soe_auth.sandbox.visitor import VisitStopped, run_visitor, visit


def start(site: Sandbox, **changes: str) -> str:
    own_page = f"{site.url}/oauth/login_success"
    return site.url + request_for(**{"client_id": "112", "redirect_uri": own_page, **changes})


@pytest.fixture
async def tale() -> list[str]:
    return []


@pytest.fixture
async def site(tale: list[str]) -> AsyncIterator[Sandbox]:
    async with Sandbox(narrate=tale.append) as site:
        yield site


async def serving(answers: dict[str, Callable[[], web.Response]]) -> tuple[web.AppRunner, str]:
    async def answer(request: web.Request) -> web.Response:
        return answers[request.path]()

    application = web.Application()
    application.add_routes([web.get(path, answer) for path in answers])
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    place = web.TCPSite(runner, "127.0.0.1", 0)
    await place.start()
    return runner, f"http://127.0.0.1:{runner.addresses[0][1]}"


async def test_the_visitor_signs_in_approves_and_reads_the_last_page(
    site: Sandbox, tale: list[str]
) -> None:
    told: list[str] = []
    page = await visit(start(site), narrate=told.append)
    assert page.status == 200
    assert set(dict(parse_qsl(urlsplit(page.url).query))) == {"code", "state"}
    assert "Authorizing Application" in page.text
    assert "Jane Doe approved." in tale
    assert told[-1] == f"{site.url}/oauth/login_success answered 200."
    assert "code" not in repr(page)


async def test_the_visitor_signs_in_as_whom_it_is_told(site: Sandbox, tale: list[str]) -> None:
    await visit(start(site), account="Site Admin")
    assert "Site Admin signed in." in tale


async def test_the_visitor_can_refuse(site: Sandbox, tale: list[str]) -> None:
    page = await visit(start(site), refuse=True)
    assert dict(parse_qsl(urlsplit(page.url).query))["error"] == "access_denied"
    assert "Jane Doe refused." in tale


async def test_the_visitor_does_not_sign_in_as_somebody_else(site: Sandbox) -> None:
    with pytest.raises(VisitStopped, match="no account by the name of 'Nobody'"):
        await visit(start(site), account="Nobody")


@pytest.mark.parametrize(
    "url", ["https://example.com/", "file:///etc/passwd", "http://localhost.example/", "x"]
)
async def test_the_visitor_stays_on_this_computer(url: str) -> None:
    with pytest.raises(VisitStopped, match="away from this computer"):
        await visit(url)


async def test_the_visitor_is_not_led_away_by_a_redirect() -> None:
    away = {"/": lambda: web.Response(status=302, headers={"Location": "https://example.com/"})}
    runner, url = await serving(away)
    with pytest.raises(VisitStopped, match="away from this computer"):
        await visit(f"{url}/")
    await runner.cleanup()


async def test_the_visitor_does_not_walk_for_ever() -> None:
    runner, url = await serving({"/": lambda: web.Response(status=302, headers={"Location": "/"})})
    with pytest.raises(VisitStopped, match="no end to it"):
        await visit(f"{url}/")
    await runner.cleanup()


async def test_the_visitor_goes_from_a_short_local_address_and_leaves_other_forms_alone(
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


def test_the_visitor_is_a_browser_command(capsys: pytest.CaptureFixture[str]) -> None:
    with running() as site:
        assert run_visitor(["--account", "John Doe", start(site)]) == 0
        assert run_visitor(["--refuse", start(site)]) == 0
        assert capsys.readouterr() == ("", "")
        assert run_visitor([start(site, client_id="999")]) == 1
        told = capsys.readouterr()
        assert told == ("", f"visitor: {site.url}/oauth answered 400\n")
    assert run_visitor([start(site)]) == 1
    assert capsys.readouterr().err.startswith("visitor: ")


@pytest.mark.posix("not tried on Windows yet; tests/windows runs the command there")
@pytest.mark.process
def test_the_visitor_runs_as_a_module() -> None:
    with running() as site:
        done = subprocess.run(
            [sys.executable, "-W", "error", "-m", "soe_auth.sandbox.visitor", start(site)],
            capture_output=True,
            timeout=30,
            check=False,
        )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
