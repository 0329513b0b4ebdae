"""Sign in and approve over HTTP, up to the redirect to the application."""

import html
import re

import httpx


def approve(address: str) -> str:
    """Sign in and approve; return the address of the redirect."""
    with httpx.Client(trust_env=False) as browser:
        page = browser.get(address, follow_redirects=True)
        page = browser.get(page.url.join(press(browser, page, {"account": "1"})))
        approved_before = page.headers.get("Location")
        return approved_before or press(browser, page, {"decision": "approve"})


def press(browser: httpx.Client, page: httpx.Response, button: dict[str, str]) -> str:
    """Submit the only form of a page with a button; return the address of the redirect."""
    hidden = re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', page.text)
    (action,) = re.findall(r'method="post" action="([^"]+)"', page.text)
    form = {key: html.unescape(value) for key, value in hidden} | button
    return browser.post(page.url.join(action), data=form).headers["Location"]
