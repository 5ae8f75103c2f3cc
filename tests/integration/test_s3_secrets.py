"""What nobody may see: secret keys, session tokens and signatures; and what happens to a provider in other processes."""

from __future__ import annotations

import logging
import pickle
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from ceph_rgw import CephRgw
from plain_client import plain_client
from stub_store import Reply, Request, StubStore, page, refusal

from domain.errors import StorageError
from domain.storage import IStorageProvider
from infrastructure.storage.storage_factory import StorageProviderFactory

ACCESS = "AKIAIOSFODNN7EXAMPLE"
SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCY=SECRETKEY"  # noqa: S105 - invented
TOKEN = "IQoJb3JpZ2luX2VjEA/aCXVz+LWVhc3Q=TOKENTOKEN"  # noqa: S105 - invented
PROXY_PASSWORD = "pr0xyPassw0rd"  # noqa: S105 - invented


def echo(request: Request) -> Reply:
    """As AWS answers to a wrong signature: with all that was signed, so that its user can compare."""
    lines = "\n".join(f"{name}:{value}" for name, value in request.headers.items())
    return refusal(
        403,
        "SignatureDoesNotMatch",
        f"<AWSAccessKeyId>{ACCESS}</AWSAccessKeyId><SignatureProvided>0</SignatureProvided>"
        f"<CanonicalRequest>{request.method}\n{request.target.replace('&', '&amp;')}\n{lines}</CanonicalRequest>",
    )


ANSWERS: dict[str, Callable[[Request], Reply]] = {
    "signature": echo,
    "expired": lambda request: refusal(400, "ExpiredToken", f"<Token-0>{TOKEN}</Token-0>"),
    "unknown": lambda request: refusal(418, "Teapot", f"<Seen>{request.headers}</Seen>"),
    "page": lambda request: page(200),
    "busy": lambda request: refusal(503, "SlowDown"),
    "closed": lambda request: 1 / 0,  # type: ignore[dict-item, return-value]
    "region": lambda request: refusal(301, "PermanentRedirect", x_amz_bucket_region="eu-central-2"),
    "well": lambda request: Reply(200, b"x", {"etag": '"e"', "last-modified": "Wed, 21 Oct 2015 07:28:00 GMT"}),
}

CALLS: list[Callable[[IStorageProvider], Any]] = [
    lambda store: store.connect(),
    lambda store: store.put_bytes("k", b"x"),
    lambda store: store.put_bytes("a//b", b"x"),
    lambda store: store.put_bytes("k", bytes(9 << 20)),
    lambda store: store.get_bytes("k"),
    lambda store: store.head("a//b"),
    lambda store: store.list_files(),
    lambda store: store.delete_many(["k"]),
    lambda store: store.copy("k", "l"),
    lambda store: list(store.unfinished_uploads()),
    lambda store: store.create_bucket(),
    lambda store: store.presign("k", method="PUT"),
    lambda store: store.for_bucket("other-bucket").head("k"),
]


@pytest.fixture
def stub() -> Iterator[StubStore]:
    with StubStore(lambda request: Reply(500)) as store:
        yield store


@pytest.fixture
def settings(stub: StubStore) -> dict[str, Any]:
    return {
        "provider_type": "s3",
        "endpoint_url": stub.url,
        "bucket_name": "bucket",
        "access_key_id": ACCESS,
        "secret_access_key": SECRET,
        "session_token": TOKEN,
        "max_attempts": 1,
        "read_timeout": 5,
    }


def hidden_in(text: str) -> list[str]:
    """The secrets that `text` gives away, in whatever spelling, each with what stands before it."""
    found = []
    for name, value in {"secret": SECRET, "token": TOKEN, "proxy": PROXY_PASSWORD}.items():
        for spelling in (value, quote(value, safe=""), value[:20], value[-20:]):
            if (at := text.find(spelling)) >= 0:
                found.append(f"{name} after {text[max(0, at - 50) : at]!r}")
                break
    return found


def chain(error: BaseException | None) -> Iterator[str]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield from (str(error), repr(error), *map(str, getattr(error, "__notes__", ())))
        error = error.__cause__ or error.__context__


@pytest.mark.parametrize("name", ANSWERS)
def test_no_error_and_no_log_shows_a_secret(
    settings: dict[str, Any], stub: StubStore, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    stub.answer = ANSWERS[name]
    caplog.set_level(logging.DEBUG)
    store = StorageProviderFactory.create(settings)
    said: list[str] = []
    signatures = []
    for call in CALLS:
        try:
            answer = call(store)
        except StorageError as error:
            said += [*chain(error), *traceback.format_exception(error)]
            assert hidden_in(pickle.dumps(error).decode("latin-1")) == []
        except Exception as error:  # one of ours is what other tests ask for; here it only must not tell
            said += [*chain(error), *traceback.format_exception(error)]
        else:
            if isinstance(answer, str):
                signatures.append(parse_qs(urlsplit(answer).query)["X-Amz-Signature"][0])
    store.disconnect()
    assert said or name == "well"
    assert stub.requests[0].headers["x-amz-security-token"] == TOKEN, "it was used"
    assert {leak for line in said for leak in hidden_in(line)} == set()
    logged = [(record.name, record.getMessage()) for record in caplog.records]
    assert {(logger, leak) for logger, message in logged for leak in hidden_in(message)} == set()
    assert signatures
    assert {logger for logger, message in logged if any(mark in message for mark in signatures)} == set()


def test_what_is_printed_shows_no_secret(settings: dict[str, Any]) -> None:
    for kind in ("s3", "r2", "minio", "wasabi", "spaces", "b2"):
        given = {**settings, "provider_type": kind, "proxy_url": f"http://user:{PROXY_PASSWORD}@127.0.0.1:9"}
        if kind == "b2":
            given |= {"key_id": given.pop("access_key_id"), "application_key": given.pop("secret_access_key")}
        store: Any = StorageProviderFactory.create(given)
        target = store._engine.target
        shown = [store, store._settings, store.describe(), target, target.credentials, target.credentials.current()]
        shown += [
            store._settings.__dict__,
            vars(store),
            vars(store._engine),
            store.for_bucket("other-bucket"),
            store.capabilities,
        ]
        for thing in shown:
            assert hidden_in(str(thing) + repr(thing) + f"{thing}") == [], type(thing)
        # A mistake in one setting shows none of the others, nor itself.
        for wrong in (
            {"read_timeout": SECRET},
            {SECRET[:10]: 1, "nonsense": TOKEN},
            {"endpoint_url": f"http://x:{SECRET}@h"},
        ):
            with pytest.raises(StorageError) as raised:
                StorageProviderFactory.create(given | wrong)
            for text in [*chain(raised.value), *traceback.format_exception(raised.value)]:
                assert hidden_in(text) == []


def test_a_proxy_that_is_away_is_told_without_its_password(settings: dict[str, Any], caplog: Any) -> None:
    caplog.set_level(logging.DEBUG)
    store = StorageProviderFactory.create(settings | {"proxy_url": f"http://user:{PROXY_PASSWORD}@127.0.0.1:9"})
    for call in CALLS[:-2]:
        with pytest.raises(StorageError) as raised:
            call(store)
        assert {leak for text in chain(raised.value) for leak in hidden_in(text)} == set()
    store.disconnect()
    assert {leak for record in caplog.records for leak in hidden_in(record.getMessage())} == set()


# -- other processes


@pytest.fixture
def rgw(ceph_rgw: CephRgw, new_bucket: Callable[..., str]) -> list[str]:
    """What a program needs to make a provider."""
    return [ceph_rgw.http_url, ceph_rgw.access_key, ceph_rgw.secret_key, new_bucket(ceph_rgw)]


MADE = """
import os, sys, multiprocessing, pickle, time
from domain.errors import StorageError
from infrastructure.storage.providers import MinIOProvider
url, key, secret, bucket = sys.argv[1:5]
store = MinIOProvider(dict(endpoint_url=url, access_key_id=key, secret_access_key=secret, bucket_name=bucket))
"""

SPAWN = (
    MADE
    + """
store.put_bytes("k", b"content")
store.list_files()
with multiprocessing.get_context("spawn").Pool(1) as pool:
    print(pool.apply(store.get_bytes, ("k",)).decode())
    pool.apply(store.put_bytes, ("from/the/child", b"x"))
print(store.list_files())
"""
)

FORK = (
    MADE
    + """
store.put_bytes("k", b"content")
store.list_files()
list(store.unfinished_uploads())
calls = {
    "put": lambda: store.put_bytes("k", b"x"),
    "get": lambda: store.get_bytes("k"),
    "head": lambda: store.head("k"),
    "odd": lambda: store.get_bytes("a//b"),
    "list": lambda: store.list_files(),
    "large": lambda: store.put_bytes("large", bytes(9 << 20)),
    "unfinished": lambda: list(store.unfinished_uploads()),
    "disconnect": lambda: store.disconnect(),
}
for name, call in calls.items():
    pid = os.fork()
    if not pid:
        try:
            call()
            said = "done"
        except StorageError as error:
            said = f"{type(error).__name__} {error}"
        except BaseException as error:
            said = f"unexpected {error!r}"
        print(name, said, flush=True)
        os._exit(0)
    end = time.monotonic() + 10
    while not (done := os.waitpid(pid, os.WNOHANG))[0] and time.monotonic() < end:
        time.sleep(0.01)
    if not done[0]:
        print(name, "hangs", flush=True)
        os.kill(pid, 9)
        os.waitpid(pid, 0)
print("parent", store.get_bytes("k").decode(), store.head("k").size, len(store.list_files()) >= 1)
"""
)

SHARED_LINE = (
    MADE
    + """
for letter in "ab":
    for number in range(5):
        store.put_bytes(f"{letter}//{number}", letter.encode())
store.list_files("a")
store.get_bytes("a//0")
pid = os.fork()
mine = "b" if pid else "a"
wrong = 0
for turn in range(60):
    try:
        names = store.list_files(mine)
        wrong += names != [f"{mine}//{number}" for number in range(5)]
        wrong += store.get_bytes(f"{mine}//{turn % 5}") != mine.encode()
    except StorageError as error:
        if pid or "fork" not in str(error):
            print("parent" if pid else "child", error)
            wrong += 1
if not pid:
    os._exit(min(wrong, 99))
print(wrong, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""
)


def test_a_provider_goes_to_a_spawned_process(run: Callable[..., str], rgw: list[str]) -> None:
    assert run(SPAWN, *rgw) == "content\n['from/the/child', 'k']\n"


def test_a_used_provider_works_in_a_forked_process(run: Callable[..., str], rgw: list[str]) -> None:
    *children, parent = run(FORK, *rgw).splitlines()
    told = dict(line.split(" ", 1) for line in children)
    assert not [line for line in children if "unexpected" in line or line.endswith("hangs")]
    assert "no object 'a//b'" in told.pop("odd")
    done = ("put", "get", "head", "list", "large", "unfinished", "disconnect")
    assert told == dict.fromkeys(done, "done")
    assert parent == "parent x 1 True"


def test_parent_and_child_do_not_get_each_others_answers(run: Callable[..., str], rgw: list[str]) -> None:
    """Connections that were open before a fork are open in both."""
    assert run(SHARED_LINE, *rgw).splitlines()[-1] == "0 0"


def test_a_provider_that_was_not_used_works_in_a_forked_process(run: Callable[..., str], rgw: list[str]) -> None:
    script = (
        MADE
        + """
pid = os.fork()
if not pid:
    store.put_bytes("k", b"child")
    os._exit(0)
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
print(store.get_bytes("k").decode())
"""
    )
    assert run(script, *rgw) == "child\n"


def test_pickled_errors_and_providers(ceph_rgw: CephRgw, rgw: list[str], tmp_path: Path) -> None:
    url, key, secret, bucket = rgw
    store = StorageProviderFactory.create(
        {
            "provider_type": "minio",
            "endpoint_url": url,
            "access_key_id": key,
            "secret_access_key": secret,
            "bucket_name": bucket,
        }
    )
    with pytest.raises(StorageError) as raised:
        store.get_bytes("missing")
    again = pickle.loads(pickle.dumps(raised.value))  # noqa: S301
    assert (type(again), str(again), again.key) == (type(raised.value), str(raised.value), "missing")
    other = pickle.loads(pickle.dumps(store))  # noqa: S301
    other.put_bytes("k", b"x")
    client = plain_client(ceph_rgw)
    assert client.get_object(Bucket=bucket, Key="k")["Body"].read() == b"x"
    client.close()
    for one in (store, other):
        one.disconnect()
