"""Content of the site: a few users, tags and questions, in the form of each API."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from soe_auth.sandbox.applications import Account

Item = dict[str, Any]
Lists = dict[str, list[Item]]

_TAGS: Final = ("access", "onboarding", "python")
_NUMBERS: Final = range(1, 41)  # of questions: more than a page has by default
_V3_PAGE_SIZES: Final = (15, 30, 50, 100)
_DAY: Final = 86_400
_FIRST_DAY: Final = 1_767_225_600  # 2026-01-01, in seconds since the epoch


class InvalidPage(ValueError):
    """Page parameters that are not valid; the message is a sentence with the reason."""


def user_v3(account: Account) -> Item:
    """Return an account as API v3 describes it."""
    return {
        "id": account.id,
        "accountId": account.account_id,
        "name": account.name,
        "email": account.email,
        "role": account.role,
    }


def user_v2(account: Account) -> Item:
    """Return an account as API v2.3 describes it."""
    return {
        "user_id": account.id,
        "account_id": account.account_id,
        "display_name": account.name,
    }


def lists_v3(url: str, accounts: Iterable[Account]) -> Lists:
    """Return the lists of API v3 by their paths; the first field of an item identifies it."""
    users = [user_v3(account) for account in accounts]
    tags = [{"id": number, "name": name} for number, name in enumerate(_TAGS, 1)]
    questions = [
        {
            "id": number,
            "title": f"Practice question {number}",
            "tags": [tags[number % len(tags)]],
            "owner": users[number % len(users)] if users else None,
            "score": 0,
            "viewCount": number,
            "answerCount": 0,
            "isAnswered": False,
            "creationDate": f"2026-01-{1 + number % 28:02}T00:00:00Z",
            "webUrl": f"{url}/questions/{number}",
        }
        for number in _NUMBERS
    ]
    lists: Lists = {path: [] for path in ("articles", "collections", "communities", "user-groups")}
    results = [{**question, "type": "question"} for question in questions]
    return lists | {"users": users, "tags": tags, "questions": questions, "search": results}


def lists_v2(url: str, accounts: Iterable[Account]) -> Lists:
    """Return the lists of API v2.3 by their paths; the first field of an item identifies it."""
    users = [user_v2(account) for account in accounts]
    questions = [
        {
            "question_id": question["id"],
            "title": question["title"],
            "tags": [tag["name"] for tag in question["tags"]],
            "owner": users[question["id"] % len(users)] if users else {},
            "score": 0,
            "view_count": question["viewCount"],
            "answer_count": 0,
            "is_answered": False,
            "creation_date": _FIRST_DAY + question["id"] % 28 * _DAY,
            "link": question["webUrl"],
        }
        for question in lists_v3(url, ())["questions"]
    ]
    tags = [{"name": name, "count": len(_NUMBERS) // len(_TAGS)} for name in _TAGS]
    lists: Lists = {path: [] for path in ("answers", "articles", "sites")}
    return lists | {"users": users, "tags": tags, "questions": questions}


def find_items(lists: Lists, path: str) -> list[Item] | Item | None:
    """Return what a path names: a list, one of its items, or an item's own list, which is empty.

    A path with several items, separated by `;`, names a list. None if nothing is found.
    """
    collection, _, rest = path.partition("/")
    items = lists.get(collection)
    if items is None or not rest:
        return items
    keys, _, own_list = rest.partition("/")
    named = [item for item in items if str(next(iter(item.values()))) in keys.split(";")]
    if own_list:
        return [] if named else None
    if ";" in keys:
        return named
    return named[0] if named else None


def select_page(
    items: list[Item], query: Mapping[str, str], *, max_size: int | None = None
) -> tuple[list[Item], int, int, int]:
    """Return the items of a page, its number, its size, and the number of pages (at least 1).

    API v2.3 has a `pagesize` up to `max_size`; API v3 has a `pageSize` from a list. Raises
    `InvalidPage`.
    """
    name = "pagesize" if max_size else "pageSize"
    page, size = _positive(query, "page", 1), _positive(query, name, 30)
    if max_size and size > max_size:
        raise InvalidPage(f"The {name} is more than {max_size}.")
    if not max_size and size not in _V3_PAGE_SIZES:
        raise InvalidPage(f"The {name} is not 15, 30, 50 or 100.")
    return items[(page - 1) * size : page * size], page, size, max(1, -(-len(items) // size))


def _positive(query: Mapping[str, str], name: str, default: int) -> int:
    text = query.get(name, str(default))
    if not (text.isascii() and text.isdecimal() and int(text[:9]) > 0):
        raise InvalidPage(f"The {name} is not a positive number.")
    return int(text[:9])
