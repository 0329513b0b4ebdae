"""What the token endpoint was sent, kept for tests to look at."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request to the token endpoint; all but its method and outcome stay out of the repr.

    `fields` is the form body as pairs in the order sent (empty where it could not be read),
    `query` the raw query string, `headers` are found in any case, and `granted` tells whether a
    token was issued, whatever became of the answer.
    """

    method: str
    fields: list[tuple[str, str]] = field(repr=False)
    query: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    granted: bool
