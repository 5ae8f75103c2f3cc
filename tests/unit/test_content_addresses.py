"""Addresses of content: a key for each hash, and back; nothing else is one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.content import DVC_MD5, SHA256, AddressScheme, ContentHash
from domain.errors import InvalidRequest

SHA = "ab12" + "0" * 60
MD5 = "ab12" + "0" * 28
schemes = st.sampled_from([SHA256, DVC_MD5])
prefixes = st.sampled_from(["", "cas/", "dvc/", "a/b/", "files/md5/"])


def addresses(scheme: AddressScheme) -> st.SearchStrategy[str]:
    digits = st.text("0123456789abcdef", min_size=scheme.digits, max_size=scheme.digits)
    return st.builds(str.__add__, digits, st.sampled_from(scheme.suffixes))


def test_the_two_layouts() -> None:
    assert SHA256.key("cas/", SHA) == f"cas/ab/{SHA}"
    assert DVC_MD5.key("dvc/", MD5) == f"dvc/files/md5/ab/{MD5[2:]}"
    assert DVC_MD5.key("", f"{MD5}.dir") == f"files/md5/ab/{MD5[2:]}.dir"


@given(schemes.flatmap(lambda scheme: st.tuples(st.just(scheme), addresses(scheme))), prefixes)
def test_a_key_leads_back_to_its_address(found: tuple[AddressScheme, str], prefix: str) -> None:
    scheme, address = found
    assert scheme.address_of(prefix, scheme.key(prefix, address)) == address
    assert scheme.key(prefix, address.upper()) == scheme.key(prefix, address)


@given(schemes, prefixes, st.text("0123456789abcdefABG/.dir", max_size=72))
def test_a_key_that_is_no_contents_has_no_address(scheme: AddressScheme, prefix: str, name: str) -> None:
    """Whatever has an address is at the key that the address has: nothing is found under two names."""
    for key in (prefix + scheme.folder + name, name):
        address = scheme.address_of(prefix, key)
        assert address is None or scheme.key(prefix, address) == key


@pytest.mark.parametrize(
    "key",
    [
        f"cas/ab/{SHA}/",
        f"cas/ab//{SHA}",
        f"cas/cd/{SHA}",
        f"cas/ab/{SHA.upper()}",
        f"cas/ab/{SHA[:-1]}",
        f"cas/ab/{SHA}0",
        f"cas/ab/{SHA}.dir",
        f"cas/ab/x/{SHA}",
        f"cas/{SHA}",
        f"dvc/ab/{SHA}",
        "cas/",
        "",
    ],
)
def test_near_misses_of_lading_have_no_address(key: str) -> None:
    assert SHA256.address_of("cas/", key) is None


@pytest.mark.parametrize(
    "rest", [f"ab/{MD5}", f"ab/{MD5[2:]}.DIR", f"ab/{MD5[2:]}.dir.dir", f"ab/{MD5[2:]}.tmp", f"AB/{MD5[2:]}", "ab/"]
)
def test_near_misses_of_dvc_have_no_address(rest: str) -> None:
    assert DVC_MD5.address_of("", f"files/md5/{rest}") is None
    assert DVC_MD5.address_of("", f"ab/{MD5[2:]}") is None, "the layout of DVC 2"


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "ab",
        SHA[:-1],
        f"{SHA}0",
        f"{SHA}.dir",
        f" {SHA}",
        f"{SHA}\n",
        "g" * 64,
        "é" * 64,
        "٣" * 64,
        f"../{SHA[3:]}",
        MD5,
    ],
)
def test_what_is_no_sha256_is_refused(wrong: str) -> None:
    with pytest.raises(InvalidRequest, match="SHA256: it has 64 digits"):
        SHA256.key("cas/", wrong)


@pytest.mark.parametrize("wrong", [None, 7, b"ab", ["a"], "x" * 100_000])
def test_what_is_no_text_or_endless_is_refused_in_a_short_sentence(wrong: object) -> None:
    with pytest.raises(InvalidRequest) as refused:
        DVC_MD5.checked(wrong)  # type: ignore[arg-type]
    assert len(refused.value.message) < 200


def test_the_suffix_is_no_part_of_the_hash() -> None:
    assert DVC_MD5.hash_of(f"{MD5}.dir") == ContentHash("md5", MD5)
    assert str(SHA256.hash_of(SHA)) == f"sha256:{SHA}"
