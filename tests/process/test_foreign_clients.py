"""Other clients with the sandbox, with a token of soe-auth or with their own login.

The page for clients names those that cannot run here, with the reason.
"""

import asyncio
import os
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from shutil import which
from urllib.parse import urlsplit

import httpx
import pytest
from conftest import BROWSER, Command
from docs_parser import DOCS, REAL_SITE, blocks

from soe_auth.sandbox import Sandbox, running
from soe_auth.sandbox.scripted_browser import visit

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(not find_spec("so4t_api"), reason="these clients are not installed"),
]

NPM = Path(__file__).parents[2] / "build" / "npm" / "node_modules"

BLOCKS = blocks(DOCS / "how-to" / "clients.md", "python")
SO4T, STACKAPI, REQUESTS_OAUTHLIB, AUTHLIB = (
    next(block.text for block in BLOCKS if f"from {name}" in block.text)
    for name in ("so4t_api", "stackapi", "requests_oauthlib", "authlib")
)

# The plugin's backend without the rest of Backstage.
BACKEND = """
const express = require("express");
const plugin = "@stackoverflow/backstage-plugin-stack-overflow-teams-backend/dist";
const { createRouter } = require(`${plugin}/router.cjs.js`);
const services = `${plugin}/services/StackOverflowService`;
const { createStackOverflowService } = require(`${services}/createStackOverflowService.cjs.js`);

const logger = { info: console.error, warn: console.error, error: console.error };
const app = express();
const server = app.listen(0, "127.0.0.1", async () => {
  const own = `http://localhost:${server.address().port}`;
  const stackOverflowConfig = {
    baseUrl: process.env.SITE,
    clientId: 110,
    redirectUri: `${own}/stack-overflow-teams`,
  };
  const stackOverflowService = await createStackOverflowService({
    config: stackOverflowConfig,
    logger,
  });
  app.use(await createRouter({ logger, stackOverflowConfig, stackOverflowService }));
  console.log(own);
});
"""
COLLATOR = """
const module_ = "@backstage/plugin-search-backend-module-stack-overflow-collator/dist/collators";
const { StackOverflowQuestionsCollatorFactory } = require(
  `${module_}/StackOverflowQuestionsCollatorFactory.cjs.js`,
);

const silent = { debug() {}, warn() {}, error() {} };
const factory = new StackOverflowQuestionsCollatorFactory({
  baseUrl: `${process.env.SOE_AUTH_SITE}/api/2.3`,
  apiAccessToken: process.env.SOE_AUTH_TOKEN,
  apiKey: "practice-key-110",
  maxPage: 100,
  logger: { child: () => silent },
});
(async () => {
  let count = 0;
  for await (const question of await factory.getCollator()) count += 1;
  console.log(`${count} questions`);
})();
"""

needs_node = pytest.mark.skipif(
    not (which("node") and NPM.is_dir()), reason="node, or these clients for it, are not installed"
)


@dataclass
class Desk:
    """A sandbox with TLS, and the command of a user who trusts its CA."""

    site: Sandbox
    command: Command
    narration: list[str]

    @property
    def warnings(self) -> str:
        return "\n".join(sentence for sentence in self.narration if "bad practice" in sentence)

    def run(self, script: str) -> "subprocess.CompletedProcess[str]":
        """Sign in, and run a script with the token and the site in its environment."""
        login = (
            "login",
            "--site",
            self.site.url,
            "--client-id",
            "110",
            "--browser",
            BROWSER,
        )
        assert self.command(*login).returncode == 0
        return self.command("run", "--", sys.executable, "-c", script)

    def sign_in_by(self, script: str) -> "subprocess.CompletedProcess[str]":
        """Run a script that logs in by itself, and sign in and approve."""
        assert self.site.ca_file
        trusted = ssl.create_default_context(cafile=str(self.site.ca_file))
        program = subprocess.Popen(
            [sys.executable, "-c", script.replace(REAL_SITE, self.site.url)],
            env=self.command.environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        with program:
            assert program.stdout
            url = program.stdout.readline().strip()
            page = asyncio.run(visit(url, ssl_context=trusted))
            stdout, stderr = program.communicate(f"{page.url}\n", timeout=40)
        return subprocess.CompletedProcess([], program.returncode, stdout, stderr)


def desk_at(command: Command, *, strict: bool) -> Iterator[Desk]:
    narration: list[str] = []
    with running(tls=True, strict=strict, narrate=narration.append) as site:
        names = ("SOE_AUTH_CA_BUNDLE", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")
        variables = dict.fromkeys(names, str(site.ca_file))
        yield Desk(site, command.with_variables(**variables), narration)


@pytest.fixture
def desk(soe_auth: Command) -> Iterator[Desk]:
    yield from desk_at(soe_auth, strict=False)


@pytest.fixture
def strict(soe_auth: Command) -> Iterator[Desk]:
    yield from desk_at(soe_auth, strict=True)


def test_so4t_api_reads_a_strict_site(strict: Desk) -> None:
    done = strict.run(SO4T)
    assert (done.stdout, done.returncode) == ("40 questions, 3 users\n", 0), done.stderr


def test_so4t_api_requires_https(site: Sandbox, soe_auth: Command) -> None:
    script = f"from so4t_api import StackClient\nStackClient({site.url!r}, 'token')"
    done = soe_auth.with_variables(SOE_AUTH_SITE=site.url, SOE_AUTH_TOKEN="token")(
        "run", "--", sys.executable, "-c", script
    )
    assert done.returncode != 0
    assert "SSL" in done.stderr.splitlines()[-1]


def test_stackapi_sends_the_token_in_the_query(desk: Desk) -> None:
    done = desk.run(STACKAPI)
    assert (done.stdout, done.returncode) == ("40 questions of Jane Doe\n", 0), done.stderr
    assert "the token is in the query string" in desk.warnings


def test_stackapi_is_refused_by_a_strict_site(strict: Desk) -> None:
    done = strict.run(STACKAPI)
    assert done.returncode != 0
    assert "StackAPIError" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize("script", [REQUESTS_OAUTHLIB, AUTHLIB], ids=["requests", "authlib"])
def test_oauth_libraries_can_log_in(desk: Desk, script: str) -> None:
    done = desk.sign_in_by(f"{script}\nprint('expires_in' in token, 'expires_at' in token)")
    assert (done.stdout, done.returncode) == ("Jane Doe\nFalse False\n", 0), done.stderr
    for warning in ("response_type is sent", "grant_type is sent"):
        assert warning in desk.warnings


def test_oauth_libraries_separate_scopes_by_spaces(desk: Desk) -> None:
    by_requests = REQUESTS_OAUTHLIB.replace('["write_access"]', '["write_access", "no_expiry"]')
    by_authlib = AUTHLIB.replace('"write_access"', '["write_access", "no_expiry"]')
    for script in (by_requests, by_authlib):
        desk.narration.clear()
        assert desk.sign_in_by(script).returncode == 0
        assert "separated by spaces" in desk.warnings


@contextmanager
def backend_at(site: Sandbox) -> Iterator[httpx.Client]:
    """Run the backend of the vendor's plugin; return a client in place of its frontend."""
    environ = {"PATH": os.environ["PATH"], "NODE_PATH": str(NPM), "SITE": site.url}
    with subprocess.Popen(
        ["node", "-e", BACKEND], env=environ, stdout=subprocess.PIPE, text=True
    ) as program:
        try:
            assert program.stdout
            url = program.stdout.readline().strip()
            with httpx.Client(base_url=url, trust_env=False, timeout=20) as browser:
                yield browser
        finally:
            program.terminate()


@needs_node
def test_the_vendors_plugin_for_backstage_signs_in_and_reads() -> None:
    narration: list[str] = []
    with running(strict=False, narrate=narration.append) as site, backend_at(site) as browser:
        started = browser.get("/auth/start").json()
        page = asyncio.run(visit(started["authUrl"]))
        assert urlsplit(page.url).path == "/stack-overflow-teams"
        done = browser.get(f"/callback?{urlsplit(page.url).query}")
        assert done.json() == {"ok": True}
        assert browser.get("/authStatus").status_code == 200
        assert browser.get("/me").json()["name"] == "Jane Doe"
        for path, count in (("questions", 40), ("questions/active", 40), ("tags", 3), ("users", 3)):
            assert browser.get(f"/{path}").json()["totalCount"] == count
        assert browser.post("/search", json={"query": "practice"}).json()["totalCount"] == 40
        question = {"title": "Why?", "body": "So.", "tags": ["python"]}
        assert browser.post("/questions", json=question).json()["title"] == "Why?"
    [warning] = [sentence for sentence in narration if "bad practice" in sentence]
    assert "the code is in the query string" in warning


@needs_node
def test_the_vendors_plugin_accepts_a_token_from_soe_auth(
    signed_in: Command, site: Sandbox
) -> None:
    token = signed_in("token").stdout.strip()
    with backend_at(site) as browser:
        refused = browser.post("/auth/token", json={"accessToken": "made-up"})
        assert refused.status_code == 401
        assert browser.post("/auth/token", json={"accessToken": token}).json()["ok"] is True
        assert browser.get("/me").json()["name"] == "Jane Doe"


@needs_node
def test_backstages_search_collects_the_questions(signed_in: Command) -> None:
    collect = signed_in.with_variables(NODE_PATH=str(NPM))
    done = collect("run", "--", "node", "-e", COLLATOR)
    assert (done.stdout, done.returncode) == ("40 questions\n", 0), done.stderr
