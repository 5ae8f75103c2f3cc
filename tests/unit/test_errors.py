"""Errors travel between processes whole, and each kind has its exit code."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator

import pytest

from domain import errors
from domain.content import ContentHash
from domain.errors import ContentCorrupted, StorageError
from presentation.cli import exit_codes
from presentation.cli.exit_codes import EXIT_CODES_HELP, FAILED, exit_code


def kinds(above: type[StorageError] = StorageError) -> Iterator[type[StorageError]]:
    for kind in above.__subclasses__():
        if kind.__module__ == errors.__name__:
            yield kind
            yield from kinds(kind)


KINDS = sorted(set(kinds()), key=lambda kind: kind.__name__)


@pytest.mark.parametrize("kind", [StorageError, *KINDS])
@pytest.mark.parametrize("carry", [lambda error: pickle.loads(pickle.dumps(error)), copy.copy, copy.deepcopy])  # noqa: S301
def test_an_error_keeps_everything_on_its_way(kind: type[StorageError], carry) -> None:
    error = kind("can't do it", provider="local", key="a/b\0é")
    again = carry(error)
    assert type(again) is kind
    assert (again.message, again.provider, again.key) == ("can't do it", "local", "a/b\0é")
    assert str(again) == str(error) == "local: can't do it"
    assert again.retryable == error.retryable


@pytest.mark.parametrize("carry", [lambda error: pickle.loads(pickle.dumps(error)), copy.copy, copy.deepcopy])  # noqa: S301
def test_corrupt_content_keeps_both_hashes_on_its_way(carry) -> None:
    expected, actual = ContentHash("md5", "ab" * 16), ContentHash("md5", "cd" * 16)
    again = carry(ContentCorrupted("other bytes", provider="local", key="a", expected=expected, actual=actual))
    assert type(again) is ContentCorrupted
    assert (again.message, again.provider, again.key) == ("other bytes", "local", "a")
    assert (again.expected, again.actual) == (expected, actual)
    assert isinstance(again.expected, ContentHash)


def test_corrupt_content_may_have_no_hashes() -> None:
    error = pickle.loads(pickle.dumps(ContentCorrupted("ends early")))  # noqa: S301
    assert (error.expected, error.actual) == (None, None)


def test_an_error_without_a_provider_is_its_message() -> None:
    assert str(StorageError("no")) == "no"
    assert str(pickle.loads(pickle.dumps(StorageError("no")))) == "no"  # noqa: S301


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_a_documented_exit_code_of_its_own(kind: type[StorageError]) -> None:
    code = exit_code(kind("x"))
    assert code not in {0, FAILED, exit_codes.INTERNAL, exit_codes.INTERRUPTED}
    assert f"\n  {code} " in EXIT_CODES_HELP


def test_a_failure_of_no_special_kind_is_one() -> None:
    assert exit_code(StorageError("x")) == 1


def test_the_documented_codes_are_the_ones_used() -> None:
    documented = {
        int(line.split()[0]) for line in EXIT_CODES_HELP.splitlines() if line.strip() and line.split()[0].isdigit()
    }
    constants = {value for name, value in vars(exit_codes).items() if name.isupper() and isinstance(value, int)}
    assert documented == constants | {0}


def test_only_what_may_pass_by_itself_is_retryable() -> None:
    assert [kind for kind in KINDS if kind.retryable] == [errors.StoreUnavailable, errors.TooManyRequests]
