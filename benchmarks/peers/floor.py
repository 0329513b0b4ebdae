"""The smallest login on aiohttp: a listener, http.client, a file; nothing is checked.

soe-auth takes more because it checks the callback, stores durably, looks up the account, and
prints messages.
"""

import asyncio
import http.client
import json
import os
import ssl
import sys
from urllib.parse import urlencode, urlsplit

from aiohttp import web

site = urlsplit(sys.argv[1])


def exchange(form: str) -> str:
    """Post the form; return the token."""
    if site.scheme == "https":
        connection: http.client.HTTPConnection = http.client.HTTPSConnection(
            site.netloc, context=tls
        )
    else:
        connection = http.client.HTTPConnection(site.netloc)
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    connection.request("POST", "/oauth/access_token/json", form, headers)
    token: str = json.load(connection.getresponse())["access_token"]
    return token


def open_browser(address: str) -> None:
    """Start the browser's command."""
    command = os.environ["BROWSER"]
    os.posix_spawn(command, [command, address], os.environ)


async def main() -> None:
    """Open a browser, wait for its callback, and show it a page."""
    shown = asyncio.Event()

    async def callback(request: web.Request) -> web.Response:
        form = urlencode({"code": request.query["code"], "redirect_uri": redirect_uri})
        token = await asyncio.to_thread(exchange, form)
        file = os.open("floor.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.write(file, token.encode())
        os.fsync(file)
        sys.stdout.write(f"{token}\n")
        sys.stdout.flush()
        raise web.HTTPSeeOther("/done")

    async def done(_: web.Request) -> web.Response:
        asyncio.get_running_loop().call_soon(shown.set)
        return web.Response(text="Signed in.")

    application = web.Application()
    application.add_routes([web.get("/callback", callback), web.get("/done", done)])
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    listener = web.TCPSite(runner, "127.0.0.1", 0)
    await listener.start()
    port = runner.addresses[0][1]
    redirect_uri = f"http://localhost:{port}/callback"
    query = urlencode({"redirect_uri": redirect_uri, "state": "x"})
    open_browser(f"{site.geturl()}/oauth?{query}")
    await shown.wait()
    await asyncio.sleep(0)
    os._exit(0)


tls = ssl.create_default_context()
asyncio.run(main())
