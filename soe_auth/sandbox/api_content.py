"""What is on the site: a few users, tags and questions, in the shapes of both APIs."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from soe_auth.sandbox.registry import Account

Item = dict[str, Any]

_TAGS: Final = ("access", "onboarding", "python")
_QUESTIONS: Final = 40  # more than a page has by default
_V3_SIZES: Final = (15, 30, 50, 100)
_DAY: Final = 86_400
_FIRST_DAY: Final = 1_767_225_600  # 2026-01-01, in seconds since the epoch


class BadPage(ValueError):
    """A page that no list has; the message is a sentence that says why."""


def me_v3(account: Account, name: str) -> Item:
    """Introduce an account as API v3 does."""
    return {
        "id": account.id,
        "accountId": account.account_id,
        "name": name,
        "email": account.email,
        "role": account.role,
    }


def me_v2(account: Account, name: str) -> Item:
    """Introduce an account as API v2.3 does."""
    return {"user_id": account.id, "account_id": account.account_id, "display_name": name}


def lists_v3(url: str, accounts: Iterable[Account]) -> dict[str, list[Item]]:
    """Make the lists of API v3, by the path of each; every item has an `id`."""
    users = [me_v3(account, account.name) for account in accounts]
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
        for number in range(1, _QUESTIONS + 1)
    ]
    empty = ("articles", "collections", "communities", "user-groups")
    found = [{"type": "question", **question} for question in questions]
    lists: dict[str, list[Item]] = {name: [] for name in empty}
    return lists | {"users": users, "tags": tags, "questions": questions, "search": found}


def lists_v2(url: str, accounts: Iterable[Account]) -> dict[str, list[Item]]:
    """Make the lists of API v2.3, by the path of each; the first field of an item names it."""
    users = [me_v2(account, account.name) for account in accounts]
    tags = [{"name": name, "count": _QUESTIONS // len(_TAGS)} for name in _TAGS]
    questions = [
        {
            "question_id": number,
            "title": f"Practice question {number}",
            "tags": [_TAGS[number % len(_TAGS)]],
            "owner": users[number % len(users)] if users else {},
            "score": 0,
            "view_count": number,
            "answer_count": 0,
            "is_answered": False,
            "creation_date": _FIRST_DAY + (number % 28) * _DAY,
            "link": f"{url}/questions/{number}",
        }
        for number in range(1, _QUESTIONS + 1)
    ]
    lists: dict[str, list[Item]] = {name: [] for name in ("answers", "articles", "sites")}
    return lists | {"users": users, "tags": tags, "questions": questions}


def find(lists: Mapping[str, list[Item]], path: str) -> list[Item] | Item | None:
    """Find what a path names: a list, an item of one, or what hangs on an item, which is nothing.

    Several items are named with `;` between them, which makes a list. None if there is no such.
    """
    collection, _, rest = path.partition("/")
    items = lists.get(collection)
    if items is None or not rest:
        return items
    names, _, below = rest.partition("/")
    named = [item for item in items if str(next(iter(item.values()))) in names.split(";")]
    if below:
        return [] if named else None
    if ";" in names:
        return named
    return named[0] if named else None


def cut(
    items: list[Item], query: Mapping[str, str], *, largest: int | None = None
) -> tuple[list[Item], int, int, int]:
    """Cut a page out of a list; return it, its number, its size, and how many there are, 1 or more.

    API v3 has a `pageSize` of four sizes, v2.3 a `pagesize` up to the `largest`. Raises `BadPage`.
    """
    name = "pagesize" if largest else "pageSize"
    page, size = _number(query, "page", 1), _number(query, name, 30)
    if size > largest if largest else size not in _V3_SIZES:
        raise BadPage(
            f"The {name} is not {f'{largest} or less' if largest else '15, 30, 50 or 100'}."
        )
    return items[(page - 1) * size : page * size], page, size, max(1, -(-len(items) // size))


def _number(query: Mapping[str, str], name: str, by_default: int) -> int:
    text = query.get(name, str(by_default))
    if not (text.isascii() and text.isdecimal() and int(text[:9]) > 0):
        raise BadPage(f"The {name} is not a number above zero.")
    return int(text[:9])
