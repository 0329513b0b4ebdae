"""Call the site's API with the token, page by page."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from soe_auth.errors import LoginRequired, ServerError
from soe_auth.oauth.api_call import at_page, next_page

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from soe_auth.model.secret import Secret
    from soe_auth.oauth.api_call import ApiCall, SiteResponse
    from soe_auth.site_client.client import SiteConnection

_MAX_PAGES = 1000
_MAX_TRIES = 5  # for one page, while the site answers 429


async def call_pages(
    call: ApiCall,
    token: Secret,
    site: SiteConnection,
    *,
    paginate: bool,
    sleep: Callable[[float], Awaitable[None]],
) -> AsyncIterator[SiteResponse]:
    """Yield the response, and with `paginate` those of the next pages; the last may be an error.

    After a 429, the same page is requested again after the time that the site names.
    Raises NetworkError, MalformedResponse, and ServerError if there are too many pages.
    """
    tries = 1
    while True:
        response = await site.call(call, token)
        is_limited = paginate and response.status == HTTPStatus.TOO_MANY_REQUESTS
        if is_limited and tries < _MAX_TRIES and (pause := response.retry_after) is not None:
            tries += 1
            await sleep(pause)
            continue
        yield response
        page = next_page(call, response) if paginate and response.status == HTTPStatus.OK else None
        if page is None:
            return
        if page > _MAX_PAGES or (pause := response.backoff) is None:
            raise ServerError(
                f"Cannot get all pages: the site has more; the next is {page}.",
                hint=f"Continue later with `-f page={page}`.",
                status=response.status,
            )
        call, tries = at_page(call, page), 1
        if pause:
            await sleep(pause)


def raise_for_status(response: SiteResponse, token: Secret, site: str, *, advice: str) -> None:
    """Raise for an error response: LoginRequired for 401, ServerError for any other."""
    status = response.status
    if status < HTTPStatus.MULTIPLE_CHOICES:
        return
    words = response.reason(token)
    why = f"HTTP {status}{f': {words}' if words else ''}"
    if status == HTTPStatus.UNAUTHORIZED:
        raise LoginRequired(f"{site} refused the token ({why}).", hint=f"{advice}.")
    hint = None
    if status == HTTPStatus.FORBIDDEN:
        hint = (
            "Check the token's scope, its application's Status (Read-only or Read-write) and the"
            " rights of your account."
        )
    if status < HTTPStatus.BAD_REQUEST:
        hint = "Redirects are not followed, as the token is for that address only."
    raise ServerError(f"{site} answered {why}.", hint=hint, status=status)
