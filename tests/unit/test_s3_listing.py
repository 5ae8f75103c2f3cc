"""Listings of S3 stores: keys come back exactly, pages follow one another, and what is no listing is no empty one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, NamedTuple
from urllib.parse import quote, quote_plus
from xml.sax.saxutils import escape

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from domain.errors import ConfigurationError, StorageError, StoreUnavailable
from domain.objects import Capabilities, ObjectInfo
from infrastructure.storage.s3.credentials import GivenCredentials, KeyPair
from infrastructure.storage.s3.dialect import Dialect, Target
from infrastructure.storage.s3.listing import list_objects

TARGET = Target(
    provider="minio",
    bucket="bucket",
    endpoint_url="http://store:9000",
    region="us-east-1",
    credentials=GivenCredentials(KeyPair("AKIA", "secret")),
    credential_names="names",
    dialect=Dialect(Capabilities()),
    capabilities=Capabilities(),
)
KEYS = st.text(min_size=1, max_size=20) | st.text(st.sampled_from("+% é&<>\n\r\x00\x1f\ufffe/~*'\"a"), min_size=1)
WHEN = datetime(2024, 2, 29, 12, 34, 56, 789000, tzinfo=UTC)


class Answer(NamedTuple):
    data: bytes


class FakeWire:
    """Gives the pages one after the other, or what `answer` makes of each question; keeps what was asked."""

    def __init__(self, pages: Sequence[bytes] = (), answer: Callable[[dict[str, str]], bytes] | None = None) -> None:
        self._pages = iter(pages)
        self._answer = answer
        self.asked: list[dict[str, str]] = []

    def send(self, method: str, key: str = "", *, query: Sequence[tuple[str, str]], doing: str) -> Answer:
        assert (method, key, doing) == ("GET", "", "list bucket 'bucket'")
        assert len(self.asked) < 50, "it goes round in circles"
        self.asked.append(dict(query))
        return Answer(self._answer(self.asked[-1]) if self._answer else next(self._pages))


def entry(key: str, etag: str = "<ETag>&quot;abc&quot;</ETag>") -> str:
    when = "<LastModified>2024-02-29T12:34:56.789Z</LastModified>"
    return f"<Contents><Key>{key}</Key>{when}{etag}<Size>5</Size><Owner><ID>i</ID></Owner></Contents>"


def page(*entries: str, more: bool = False, head: str = "", tail: str = "", encoded: bool = True) -> bytes:
    how = "<EncodingType>url</EncodingType>" if encoded else ""
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        f"<Name>bucket</Name>{head}<KeyCount>{len(entries)}</KeyCount><MaxKeys>1000</MaxKeys>{how}"
        f"<IsTruncated>{'true' if more else 'false'}</IsTruncated>{''.join(entries)}{tail}</ListBucketResult>"
    ).encode()


def plain(*keys: str, **how: Any) -> bytes:
    return page(*map(entry, keys), **how)


def token(text: str) -> str:
    return f"<NextContinuationToken>{text}</NextContinuationToken>"


def listed(wire: FakeWire, prefix: str = "", start_after: str = "", target: Target = TARGET) -> list[ObjectInfo]:
    fake: Any = wire
    return list(list_objects(target, fake, lambda call: call(), prefix, start_after))


def keys_of(*pages: bytes) -> list[str]:
    return [info.key for info in listed(FakeWire(pages))]


def test_an_object_is_told_with_all_that_a_listing_knows() -> None:
    wire = FakeWire([plain("a/b")])
    assert listed(wire, "a/") == [ObjectInfo("a/b", 5, "abc", WHEN)]
    assert wire.asked == [{"list-type": "2", "max-keys": "1000", "encoding-type": "url", "prefix": "a/"}]
    assert keys_of(page()) == []


def test_a_store_whose_encoding_is_broken_is_not_asked_for_it() -> None:
    wire = FakeWire([plain("a%2Bb", encoded=False)])
    odd = Target(**{name: getattr(TARGET, name) for name in ("provider", "bucket", "endpoint_url", "region")},
                 credentials=TARGET.credentials, credential_names="", capabilities=Capabilities(),
                 dialect=Dialect(Capabilities(), url_encoded_listing=False))  # fmt: skip
    assert [info.key for info in listed(wire, target=odd)] == ["a%2Bb"]
    assert wire.asked == [{"list-type": "2", "max-keys": "1000"}]


@pytest.mark.parametrize(
    "encode", [lambda key: quote(key, safe="/"), quote_plus, lambda key: quote(key, safe="/~*()'!")]
)
@given(keys=st.lists(KEYS, unique=True, max_size=8))
@example(keys=["a b", "a+b", "a%20b", "a%2Bb", "é", "\x00", "\ufffe", "&amp;", "<Key>", "\n"])
def test_any_key_comes_back_as_it_is(encode: Callable[[str], str], keys: list[str]) -> None:
    keys.sort(key=str.encode)
    assert keys_of(plain(*(escape(encode(key)) for key in keys))) == keys


@given(
    st.lists(
        st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Cn", "Co")), min_size=1), unique=True
    )
)
@example(["a%20b", "a%2Bb", "a+b", "a b", "%", "%zz"])
def test_a_store_that_ignores_the_wish_for_encoding_is_taken_at_its_word(keys: list[str]) -> None:
    keys.sort(key=str.encode)
    assert keys_of(plain(*map(escape, keys), encoded=False)) == keys


def test_the_encoding_may_be_told_at_the_end() -> None:
    document = page(entry("a%2Bb"), tail="<EncodingType>url</EncodingType>", encoded=False)
    assert keys_of(document) == ["a+b"]


def test_pages_follow_one_another_by_their_tokens() -> None:
    wire = FakeWire(
        [
            plain("a", "b", more=True, tail=token("t/1+ =&amp;")),
            plain("c", more=True, head=token("t2")),
            plain("d"),
        ]
    )
    assert [info.key for info in listed(wire)] == ["a", "b", "c", "d"]
    assert [question.get("continuation-token") for question in wire.asked] == [None, "t/1+ =&", "t2"]
    assert all("start-after" not in question for question in wire.asked)


def test_a_listing_is_a_stream() -> None:
    wire: Any = FakeWire([plain("a", "b", more=True, tail=token("t"))])
    found = list_objects(TARGET, wire, lambda call: call(), "")
    assert wire.asked == []
    assert [next(found).key, next(found).key] == ["a", "b"]
    assert len(wire.asked) == 1


def test_a_listing_can_begin_after_a_key() -> None:
    wire = FakeWire([plain("b", "c", more=True, tail=token("t")), plain("d")])
    assert [info.key for info in listed(wire, start_after="a+é")] == ["b", "c", "d"]
    assert [question.get("start-after") for question in wire.asked] == ["a+é", None]


def test_a_store_that_ignores_where_to_begin_is_read_on_until_there() -> None:
    assert [info.key for info in listed(FakeWire([plain("a", "b", "c")]), start_after="b")] == ["c"]


@pytest.mark.parametrize("bad", ["\x01", "\x00", "\x1f", "&#1;", "&#x0;", "&#x1F;", "&#65534;", "\ufffe", "&#xD800;"])
def test_what_xml_can_not_say_beside_the_keys_does_no_harm(bad: str) -> None:
    wire = FakeWire(
        [
            plain("a%01", "b%20", more=True, head=f"<Prefix>{bad}</Prefix>", tail=token(f"{bad}b")),
            plain("b%21", more=True, tail=token(bad)),
            plain("c", head=f"<Prefix>{bad}&amp;&#65;</Prefix>"),
        ]
    )
    assert [info.key for info in listed(wire)] == ["a\x01", "b ", "b!", "c"]
    assert [question.get("start-after") for question in wire.asked] == [None, "b ", "b!"]
    assert all("continuation-token" not in question for question in wire.asked)


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"OK",
        b"\x00\xff\xfe",
        b"{}",
        b"<!DOCTYPE html>\n<html><body>Welcome</body></html>",
        b"<html><p>not closed</html>",
        b"<ListAllMyBucketsResult></ListAllMyBucketsResult>",
        b"<Error><Code>Odd</Code></Error>",
        b"<wrap><ListBucketResult/></wrap>",
        plain("a") + b"<more/>",
        plain("\x01", encoded=False),
        plain("&#1;", encoded=False),
        plain("a").replace(b"<Key>", b"<Key>\xff"),
        plain("a").replace(b"<Name>", b"<Name>&nbsp;"),
    ],
)
def test_what_is_no_listing_is_a_matter_of_the_endpoint(document: bytes) -> None:
    with pytest.raises(ConfigurationError, match="what http://store:9000 answers is no S3 listing; check the endpoint"):
        keys_of(document)


@pytest.mark.parametrize("left", [5, 40, 100])
def test_a_listing_that_ends_early_may_be_asked_for_again(left: int) -> None:
    with pytest.raises(StoreUnavailable, match="ended early") as raised:
        keys_of(plain("a")[:-left])
    assert raised.value.retryable


@pytest.mark.parametrize(
    "document",
    [
        page("<Contents></Contents>"),
        page(entry("a").replace("Key>", "Name>")),
        page(entry("a").replace("LastModified>", "Modified>")),
        page(entry("a").replace("Size>", "Length>")),
        page(entry("a").replace("<Size>5", "<Size>five")),
        page(entry("a").replace("<Size>5", "<Size>")),
        page(entry("a").replace("2024-02-29", "29.2.2024")),
    ],
)
def test_an_entry_that_lacks_what_each_has_is_no_listing(document: bytes) -> None:
    with pytest.raises(ConfigurationError, match="no S3 listing"):
        keys_of(document)


@pytest.mark.parametrize(
    "pages",
    [
        [plain("b", "a")],
        [plain("a", "b", "b")],
        [plain("a", "Z")],
        [plain("\uffee", "\U00010000", "\uffef")],  # sorted as UTF-16 is
        [plain("a", more=True, tail=token("t")), plain("c", "b")],
        [plain("b", "d", more=True, tail=token("t")), plain("c", "e")],
        [plain("b", "d", more=True, tail=token("t")), plain("d", "e")],
    ],
)
def test_keys_out_of_order_or_twice_are_no_listing_to_rely_on(pages: list[bytes]) -> None:
    with pytest.raises(StorageError, match="out of order") as caught:
        keys_of(*pages)
    assert caught.value.provider == "minio"


@pytest.mark.parametrize("tail", [token("t"), "", token("\x01")])
def test_a_store_that_begins_again_and_again_is_noticed(tail: str) -> None:
    wire = FakeWire(answer=lambda question: plain("a", "b", more=True, tail=tail))
    with pytest.raises(StorageError):
        listed(wire)
    assert len(wire.asked) <= 3


@pytest.mark.parametrize("pages", [[page(more=True, tail=token("t"))], [plain("a", more=True), page(more=True)]])
def test_more_that_never_comes_is_an_error(pages: list[bytes]) -> None:
    with pytest.raises(StorageError, match="says that there is more"):
        keys_of(*pages)


def test_a_page_that_can_not_be_had_is_an_error_and_not_an_end() -> None:
    def answer(question: dict[str, str]) -> bytes:
        if "continuation-token" in question:
            raise StoreUnavailable("away")
        return plain("a", more=True, tail=token("t"))

    wire: Any = FakeWire(answer=answer)
    found = list_objects(TARGET, wire, lambda call: call(), "")
    assert next(found).key == "a"
    with pytest.raises(StoreUnavailable, match="away"):
        next(found)


@pytest.mark.parametrize(
    ("etag", "expected"),
    [("", ""), ("<ETag/>", ""), ("<ETag>abc</ETag>", "abc"), ('<ETag>"abc-2"</ETag>', "abc-2")],
)
def test_an_etag_is_told_without_quotes_and_may_be_missing(etag: str, expected: str) -> None:
    (info,) = listed(FakeWire([page(entry("a", etag))]))
    assert info.etag == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-02-29T12:34:56.789Z", WHEN),
        ("2024-02-29T12:34:56Z", WHEN.replace(microsecond=0)),
        ("2024-02-29T12:34:56.789123456Z", WHEN.replace(microsecond=789123)),
        ("2024-02-29T12:34:56.789", WHEN),
    ],
)
def test_the_time_of_an_object_has_a_zone(text: str, expected: datetime) -> None:
    (info,) = listed(FakeWire([page(entry("a").replace("2024-02-29T12:34:56.789Z", text))]))
    assert info.last_modified is not None
    assert info.last_modified.tzinfo is not None
    assert info.last_modified == expected


@given(st.binary(max_size=200) | st.text().map(str.encode), st.booleans())
def test_no_answer_makes_it_raise_anything_but_an_error_of_ours(noise: bytes, inside: bool) -> None:
    document = plain("a").replace(b"<Key>", b"<Key>" + noise) if inside else noise
    with suppress(StorageError):
        keys_of(document)


@given(st.lists(KEYS, unique=True, max_size=40), st.integers(1, 4), st.booleans())
def test_however_a_store_cuts_its_pages_the_keys_are_the_same(keys: list[str], size: int, tokens: bool) -> None:
    keys.sort(key=str.encode)

    def answer(question: dict[str, str]) -> bytes:
        after = question.get("start-after", "").encode()
        start = int(question["continuation-token"]) if "continuation-token" in question else 0
        rest = [key for key in keys[start:] if key.encode() > after]
        more = len(rest) > size
        tail = token(str(keys.index(rest[size]))) if tokens and more else ""
        return plain(*(escape(quote(key)) for key in rest[:size]), more=more, tail=tail)

    assert [info.key for info in listed(FakeWire(answer=answer))] == keys
