"""A stub S3 store in a process of its own: a bucket of as many keys as asked for, made up while they are listed.

    python benchmarks/listing_server.py 1000000    # prints its address; ends when its standard input does

A page of a thousand keys is one text with the page's number put into it, so that a client that lists waits for itself.
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

CHECKOUT = Path(__file__).parents[1]
sys.path.insert(0, str(CHECKOUT / "tests" / "servers"))

from stub_store import Reply, Request, StubStore, refusal  # noqa: E402

PAGE = 1000
_NUMBER = b"@@@@@@"
_ENTRY = (
    "<Contents><Key>data/d@@@@@@/f{number:03d}.bin</Key><LastModified>2026-01-02T03:04:05.678Z</LastModified>"
    "<ETag>&quot;d41d8cd98f00b204e980099@@@@@@{number:03x}&quot;</ETag><Size>{size}</Size>"
    "<StorageClass>STANDARD</StorageClass></Contents>"
)
_HEAD = (
    "<?xml version='1.0' encoding='UTF-8'?><ListBucketResult xmlns='http://s3.amazonaws.com/doc/2006-03-01/'>"
    "<Name>benchmark</Name><Prefix>data/</Prefix><MaxKeys>1000</MaxKeys>"
)


class Listing:
    """Answers `ListObjectsV2` for `data/`; whoever asks for an object is told that there is none."""

    def __init__(self, keys: int) -> None:
        self._pages, odd = divmod(keys, PAGE)
        if odd or not keys:
            raise ValueError(f"{keys} is not so many thousands")
        self._entries = "".join(_ENTRY.format(number=number, size=number * 7) for number in range(PAGE)).encode()

    def __call__(self, request: Request) -> Reply:
        query = request.query
        if request.method == "HEAD" and request.path.count("/") < 2:
            return Reply()
        if request.method != "GET" or "list-type" not in query:
            return refusal(404, "NoSuchKey")
        page = int(query.get("continuation-token", "0"))
        head = _HEAD
        if query.get("encoding-type") == "url":
            head += "<EncodingType>url</EncodingType>"
        if not "data/".startswith(query.get("prefix", "")[:5]):
            body = f"{head}<KeyCount>0</KeyCount><IsTruncated>false</IsTruncated></ListBucketResult>".encode()
            return Reply(200, body, {"content-type": "application/xml"})
        if page + 1 < self._pages:
            head += f"<IsTruncated>true</IsTruncated><NextContinuationToken>{page + 1}</NextContinuationToken>"
        else:
            head += "<IsTruncated>false</IsTruncated>"
        head += f"<KeyCount>{PAGE}</KeyCount>"
        entries = self._entries.replace(_NUMBER, b"%06d" % page)
        return Reply(200, head.encode() + entries + b"</ListBucketResult>", {"content-type": "application/xml"})


def as_server(url: str) -> SimpleNamespace:
    """What a client has to know of it."""
    return SimpleNamespace(http_url=url, access_key="listing", secret_key="not-looked-at")  # noqa: S106


def main() -> None:
    """Answer until standard input ends."""
    with StubStore(Listing(int(sys.argv[1]))) as store:
        print(store.url, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
