"""Call the site's API with the token, page by page."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from soe_auth.errors import LoginRequired, ServerError
from soe_auth.oauth.api_call import at_page, next_page

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from soe_auth.model.secret import Secret
    from soe_auth.oauth.api_call import ApiCall, ApiResponse
    from soe_auth.site_client.client import SiteConnection

_MOST_PAGES = 1000
_MOST_TRIES = 5  # of one page that is answered with 429


async def call_pages(
    call: ApiCall,
    token: Secret,
    site: SiteConnection,
    *,
    paginate: bool,
    sleep: Callable[[float], Awaitable[None]],
) -> AsyncIterator[ApiResponse]:
    """Yield the answer, and with `paginate` that of each page after it; the last may be an error.

    A page that is answered with 429 is asked for again after the time that the site names.
    Raises NetworkError, MalformedResponse.
    """
    tries = 1
    while True:
        answer = await site.call(call, token)
        is_limited = paginate and answer.status == HTTPStatus.TOO_MANY_REQUESTS
        if is_limited and tries < _MOST_TRIES and (pause := answer.retry_after) is not None:
            tries += 1
            await sleep(pause)
            continue
        yield answer
        page = next_page(call, answer) if paginate and answer.status == HTTPStatus.OK else None
        if page is None:
            return
        if page > _MOST_PAGES or (pause := answer.backoff) is None:
            raise ServerError(
                f"The site has more pages than are asked for in one go; page {page} is next.",
                hint=f"Go on later with -f page={page}.",
                status=answer.status,
            )
        call, tries = at_page(call, page), 1
        if pause:
            await sleep(pause)


def check_answer(answer: ApiResponse, token: Secret, site: str, *, advice: str) -> None:
    """Raise for an answer that is an error: LoginRequired for 401, ServerError for all else."""
    status = answer.status
    if status < HTTPStatus.MULTIPLE_CHOICES:
        return
    said = answer.reason(token)
    why = f"HTTP {status}{f': {said}' if said else ''}"
    if status == HTTPStatus.UNAUTHORIZED:
        raise LoginRequired(f"{site} refused the token ({why}).", hint=f"{advice}.")
    hint = None
    if status == HTTPStatus.FORBIDDEN:
        hint = (
            "The token's scope, its application's Status (Read-only or Read-write) or your account"
            " may not allow it."
        )
    if status < HTTPStatus.BAD_REQUEST:
        hint = "A redirect is not followed, as the token is for that address alone."
    raise ServerError(f"{site} answered {why}.", hint=hint, status=status)
