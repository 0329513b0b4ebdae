"""The errors can be pickled and copied, as process pools and debuggers do it."""

import copy
import pickle

import pytest

from soe_auth import errors
from soe_auth.errors import (
    ExchangeRefused,
    LoginBusy,
    LoginDenied,
    LoginTimedOut,
    LoopbackUnavailable,
    MalformedResponse,
    SoeAuthError,
)

SAMPLES: list[SoeAuthError] = [
    LoginDenied("access_denied", "The user said no."),
    LoginTimedOut("5 min", {"a probe": 2}, "nothing came", hint="Try again."),
    LoginBusy("acme", "http://localhost:1/x"),
    *(kind("It broke.", status=400) for kind in (errors.ServerError, ExchangeRefused)),
    MalformedResponse("It broke.", status=200, hint="Look."),
    *(
        kind("It broke.", hint="Mend it.")
        for kind in (
            *(SoeAuthError, errors.SettingsError, errors.LoginRequired, errors.LoginError),
            *(LoopbackUnavailable, errors.NetworkError, errors.StoreError),
        )
    ),
]


def test_there_is_a_sample_of_each_error() -> None:
    kinds = {each for each in vars(errors).values() if isinstance(each, type)}
    assert {type(sample) for sample in SAMPLES} == kinds


@pytest.mark.parametrize("error", SAMPLES, ids=lambda error: type(error).__name__)
def test_an_error_is_the_same_after_a_pickle_or_a_copy(error: SoeAuthError) -> None:
    error.add_note("seen here")
    pickles = [pickle.dumps(error, protocol) for protocol in range(pickle.HIGHEST_PROTOCOL + 1)]
    for again in (copy.copy(error), copy.deepcopy(error), *map(pickle.loads, pickles)):
        assert type(again) is type(error)
        assert (str(again), again.hint) == (str(error), error.hint)
        assert vars(again) == vars(error)
