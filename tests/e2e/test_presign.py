"""URLs for others: whoever has one needs nothing else, and can do nothing else with it."""

import json
import subprocess
import urllib.error
import urllib.request
from urllib.parse import parse_qs, urlsplit

import pytest
from cloud_environment import minio_variables
from plain_client import plain_client


@pytest.fixture
def bucket(ceph_rgw, new_bucket):
    return new_bucket(ceph_rgw)


@pytest.fixture
def cloud(storage, ceph_rgw, bucket):
    storage.env |= minio_variables(ceph_rgw, bucket)
    return storage


@pytest.fixture
def plain(ceph_rgw):
    client = plain_client(ceph_rgw)
    yield client
    client.close()


@pytest.fixture
def stored(plain, bucket):
    """The bytes of an object, by boto3."""
    return lambda key: plain.get_object(Bucket=bucket, Key=key)["Body"].read()


def ask(url, method="GET", body=None, **headers):
    """The status, body and type of an answer to plain HTTP, with no library of anybody's."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(url, data=body, method=method, headers=named)  # noqa: S310 - to ourselves
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=20) as answer:
            return answer.status, answer.read(), answer.headers.get("content-type")
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read(), error.headers.get("content-type")


def url_of(done):
    (url,) = done.stdout.splitlines()
    return url


KEYS = ["k", "a//b", "é ü.fits", "a+b c", "100%/?x=1&y=2#z", "d/../e", "/lead", "trail/", "'()!*~"]


@pytest.mark.parametrize("key", KEYS)
def test_get_and_put_of_any_key(cloud, plain, bucket, stored, key):
    plain.put_object(Bucket=bucket, Key=key, Body=b"content", ContentType="text/x-test")
    assert ask(url_of(cloud.ok("presign", key))) == (200, b"content", "text/x-test")
    url = url_of(cloud.ok("presign", key, "--method", "PUT"))
    assert ask(url, "PUT", b"other", content_type="image/fits")[0] == 200
    assert stored(key) == b"other"
    assert [entry["Key"] for entry in plain.list_objects_v2(Bucket=bucket)["Contents"]] == [key]


def test_a_url_is_good_for_its_object_and_method_only(cloud, plain, bucket, stored):
    for key in ("k", "l"):
        plain.put_object(Bucket=bucket, Key=key, Body=b"content")
    url = url_of(cloud.ok("presign", "k"))
    for method in ("PUT", "DELETE"):
        assert ask(url, method, b"x" if method == "PUT" else None)[0] == 403
    assert ask(url.replace("/k?", "/l?"))[0] == 403
    assert ask(url.replace("X-Amz-Expires=3600", "X-Amz-Expires=7200"))[0] == 403
    assert stored("k") == b"content"
    secret = cloud.env["MINIO_SECRET_KEY"]
    assert secret not in url


def test_type_of_the_answer_to_a_get(cloud, plain, bucket):
    plain.put_object(Bucket=bucket, Key="k", Body=b"a,b", ContentType="application/octet-stream")
    url = url_of(cloud.ok("presign", "k", "--content-type", "text/csv; charset=utf-8"))
    assert ask(url) == (200, b"a,b", "text/csv; charset=utf-8")


def test_put_bound_to_a_type_and_a_length(cloud, plain, bucket, stored):
    done = cloud.ok("presign", "k", "--method", "put", "--content-type", "text/csv", "--length", "5")
    url = url_of(done)
    sent = [line.removeprefix("send with it: ") for line in done.stderr.splitlines()]
    assert sent == ["Content-Type: text/csv", "Content-Length: 5"]
    for body, kind in ((b"12345", "text/html"), (b"123456", "text/csv"), (b"1234", "text/csv"), (b"", "text/csv")):
        assert ask(url, "PUT", body, content_type=kind)[0] == 403, (body, kind)
    assert "Contents" not in plain.list_objects_v2(Bucket=bucket)
    assert ask(url, "PUT", b"12345", content_type="text/csv")[0] == 200
    assert stored("k") == b"12345"
    assert plain.head_object(Bucket=bucket, Key="k")["ContentType"] == "text/csv"


def test_length_of_nothing(cloud, stored):
    url = url_of(cloud.ok("presign", "k", "--method", "PUT", "--length", "0"))
    assert ask(url, "PUT", b"x")[0] == 403
    assert ask(url, "PUT", b"", content_length="0")[0] == 200
    assert stored("k") == b""


def test_put_once(cloud, plain, bucket, stored):
    told = json.loads(cloud.ok("presign", "k", "--method", "PUT", "--once", "--json").stdout)
    assert told["headers"] == {"If-None-Match": "*"}
    assert told["method"] == "PUT"
    assert ask(told["url"], "PUT", b"without the header")[0] == 403
    assert ask(told["url"], "PUT", b"first", if_none_match="*")[0] == 200
    assert ask(told["url"], "PUT", b"second", if_none_match="*")[0] == 412
    assert stored("k") == b"first"


def test_a_url_ends(cloud, plain, bucket, wait_for):
    plain.put_object(Bucket=bucket, Key="k", Body=b"content")
    url = url_of(cloud.ok("presign", "k", "--expires", "2s"))
    assert ask(url)[0] == 200
    wait_for(lambda: ask(url)[0] == 403)
    told = json.loads(cloud.ok("presign", "k", "--expires", "7d", "--json").stdout)
    assert parse_qs(urlsplit(told["url"]).query)["X-Amz-Expires"] == ["604800"]
    assert ask(told["url"])[0] == 200


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["--expires", "0"], "7 days"),
        (["--expires", "8d"], "7 days"),
        (["--expires", "soon"], "--expires"),
        (["--expires", "-1h"], "--expires"),
        (["--expires", ""], "--expires"),
        (["--method", "DELETE"], "GET or PUT"),
        (["--length", "5"], "PUT only"),
        (["--once"], "PUT only"),
        (["--method", "PUT", "--content-type", "csv"], "no content type"),
        (["--method", "PUT", "--content-type", "text/csv\nx: y"], "no content type"),
    ],
)
def test_wrong_use(cloud, args, says):
    assert says in cloud.fails(2, "presign", "k", *args)


def test_address_for_others(cloud, plain, bucket, ceph_rgw, stored):
    """The store is reached by one name from here and by another from there; signatures hold the host."""
    plain.put_object(Bucket=bucket, Key="k", Body=b"content")
    public = ceph_rgw.http_url.replace("127.0.0.1", "localhost")
    url = url_of(cloud.ok("presign", "k", env={"STORAGE_PUBLIC_ENDPOINT_URL": public}))
    assert url.startswith(f"{public}/{bucket}/k?")
    assert ask(url)[:2] == (200, b"content")
    url = url_of(cloud.ok("presign", "n", "--method", "PUT", env={"STORAGE_PUBLIC_ENDPOINT_URL": public + "/"}))
    assert ask(url, "PUT", b"new")[0] == 200
    assert stored("n") == b"new"


def test_no_request_is_made(cloud):
    """The key and the store need not be there."""
    assert url_of(cloud.ok("presign", "k", env={"MINIO_ENDPOINT": "https://no-such-host.invalid"}))


def test_as_the_help_shows_it(cloud, bucket, stored, tmp_path):
    (tmp_path / "m13.fits").write_bytes(b"SIMPLE")
    script = 'curl -sS --noproxy "*" -f -T m13.fits "$(storage presign in/m13.fits --method PUT)"'
    done = subprocess.run(
        ["sh", "-c", script], cwd=tmp_path, env=cloud.env, capture_output=True, text=True, check=False
    )
    if "curl: not found" in done.stderr:
        pytest.skip("curl is not here")
    assert done.returncode == 0, done.stderr
    assert stored("in/m13.fits") == b"SIMPLE"


def test_other_stores_have_no_urls(storage, cloud):
    sentence = storage.fails(11, "presign", "k", env={"STORAGE_PROVIDER": "local"})
    assert "presign" in sentence or "URL" in sentence
    assert storage.fails(
        11, "presign", "k", "--method", "PUT", "--once", env={"STORAGE_CAPABILITIES": "create_if_absent=false"}
    )
    assert storage.fails(11, "presign", "k", env={"STORAGE_CAPABILITIES": "presign=false"})
