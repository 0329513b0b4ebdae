"""The story of a check: each token's own site is asked whether it is good, all at the same time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from soe_auth.errors import NetworkError, SettingsError
from soe_auth.site_client.client import TokenValidity, Verification, connect

if TYPE_CHECKING:
    from collections.abc import Iterable

    from soe_auth.model.proxy import Network
    from soe_auth.model.token import Token


async def verify(tokens: Iterable[tuple[Token, Network]]) -> list[Verification]:
    """Return what the site of each token says of it; a token goes to no other."""
    return await asyncio.gather(*(_ask(token, network) for token, network in tokens))


async def _ask(token: Token, network: Network) -> Verification:
    try:
        async with connect(token.site, network=network) as site:
            return await site.verify(token.access_token)
    except (NetworkError, SettingsError) as problem:
        return Verification(TokenValidity.UNREACHABLE, reason=str(problem))
