"""What a person gets wrong about a cloud: every mistake is one sentence that says what, where and what to do."""

import os
import threading

import pytest
from cloud_environment import minio_variables, s3_variables
from storage_command import one_sentence
from stub_store import PassOn, Reply, StubStore, page, refusal

TOKEN = "IQoJb3JpZ2luX2VjEXAMPLETOKEN"  # noqa: S105 - invented
REGION_HEADER = {"x_amz_bucket_region": "eu-central-2"}


@pytest.fixture
def bucket(ceph_rgw, new_bucket):
    return new_bucket(ceph_rgw)


@pytest.fixture
def cloud(storage, ceph_rgw, bucket):
    """`storage` on a bucket of a real server."""
    storage.env |= minio_variables(ceph_rgw, bucket)
    (storage.cwd / "f").write_text("content")
    return storage


@pytest.fixture
def fails(cloud, ceph_rgw):
    """`fails(code, *args, says=…, **variables)`: exit code, one sentence with these words, no secret, no answer."""

    def check(code, *args, says=(), **variables):
        done = cloud(*args, env=variables)
        said = done.stderr
        assert done.returncode == code, (args, done.returncode, said)
        sentence = one_sentence(said)
        assert done.stdout == ""
        for secret in (ceph_rgw.secret_key, TOKEN):
            assert secret not in said
        for word in (says,) if isinstance(says, str) else says:
            assert word in sentence, sentence
        return sentence

    return check


@pytest.fixture
def stub(cloud, bucket):
    """The store is one that answers whatever a test says."""
    with StubStore(lambda request: Reply(500)) as store:
        cloud.env["MINIO_ENDPOINT"] = store.url
        yield store


# -- credentials


def test_no_credentials(fails):
    nothing = {"MINIO_ACCESS_KEY": None, "MINIO_SECRET_KEY": None}
    fails(3, "list", says=("MINIO_ACCESS_KEY", "MINIO_SECRET_KEY"), **nothing)


def test_no_credentials_in_the_chain(storage, fails, ceph_rgw, bucket):
    storage.env = {name: value for name, value in storage.env.items() if not name.startswith("MINIO")}
    storage.env |= s3_variables(ceph_rgw, bucket) | {"AWS_EC2_METADATA_DISABLED": "true"}
    fails(
        5,
        "upload",
        "f",
        "k",
        says=("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
        AWS_ACCESS_KEY_ID=None,
        AWS_SECRET_ACCESS_KEY=None,
    )
    fails(3, "list", says="somebody", AWS_ACCESS_KEY_ID=None, AWS_SECRET_ACCESS_KEY=None, AWS_PROFILE="somebody")


@pytest.mark.parametrize("missing", ["MINIO_ACCESS_KEY", "MINIO_SECRET_KEY"])
def test_half_a_credential(fails, missing):
    fails(3, "upload", "f", "k", says=("half a credential", missing), **{missing: None})


@pytest.mark.parametrize("command", ["upload f k", "download k out", "uploads list"])
def test_wrong_secret(fails, command, cloud):
    fails(5, *command.split(), says=("MINIO_SECRET_KEY",), MINIO_SECRET_KEY="w" * 40)
    assert not (cloud.cwd / "out").exists()


@pytest.mark.parametrize("command", ["upload f k"])
def test_unknown_access_key(fails, command):
    fails(5, *command.split(), says=("MINIO_ACCESS_KEY",), MINIO_ACCESS_KEY="nobody")


@pytest.mark.parametrize("command", ["list", "upload f k"])
def test_expired_token(storage, fails, stub, bucket, ceph_rgw, command):
    stub.answer = lambda request: refusal(400, "ExpiredToken")
    storage.env |= s3_variables(ceph_rgw, bucket, stub.url) | {"AWS_SESSION_TOKEN": TOKEN}
    fails(5, *command.split(), says=("expired", "sign in again"))
    assert {request.headers.get("x-amz-security-token") for request in stub.requests} == {TOKEN}


# -- the bucket and its place


@pytest.mark.parametrize("command", ["list", "upload f k", "download k out", "stat k", "delete k"])
def test_no_such_bucket(fails, bucket, ceph_rgw, command):
    missing = f"{bucket}-no"
    fails(4, *command.split(), says=(missing, ceph_rgw.http_url, "--create-bucket"), MINIO_DEFAULT_BUCKET=missing)


@pytest.mark.parametrize("name", ["Upper", "dots..dots"])
def test_bad_bucket_name(fails, name):
    fails(3, "list", says=("MINIO_DEFAULT_BUCKET",), MINIO_DEFAULT_BUCKET=name)
    fails(2, "list", "--bucket", name, says=(name,))


@pytest.mark.parametrize("command", ["list", "upload f k", "stat k"])
def test_bucket_in_another_region(fails, stub, command):
    xml = "<Endpoint>x.s3.eu-central-2.amazonaws.com</Endpoint>"
    stub.answer = lambda request: refusal(301, "PermanentRedirect", xml, **REGION_HEADER)
    fails(3, *command.split(), says=("'eu-central-2'", "'us-east-1'", "region"))


@pytest.mark.parametrize("command", ["upload f k"])
def test_signed_for_another_region(fails, stub, command):
    xml = "<Region>eu-central-2</Region>"
    stub.answer = lambda request: refusal(400, "AuthorizationHeaderMalformed", xml, **REGION_HEADER)
    fails(3, *command.split(), says=("'eu-central-2'", "'us-east-1'", "region"))


# -- the endpoint


@pytest.mark.parametrize("command", ["list", "upload f k"])
def test_nothing_listens(fails, command):
    with StubStore(lambda request: Reply(500)) as gone:
        url = gone.url
    fails(8, *command.split(), says=(url, "nothing listens there"), MINIO_ENDPOINT=url)


@pytest.mark.parametrize("command", ["list", "upload f k"])
def test_name_that_does_not_resolve(fails, command):
    url = "http://no-such-host.invalid:9000"
    fails(8, *command.split(), says=(url, "does not resolve"), MINIO_ENDPOINT=url)


@pytest.mark.parametrize("command", ["list", "upload f k"])
def test_tls_to_a_port_without(fails, ceph_rgw, command):
    url = ceph_rgw.http_url.replace("http:", "https:")
    fails(3, *command.split(), says=(url, "http://"), MINIO_ENDPOINT=url)


@pytest.mark.parametrize("command", ["list", "upload f k"])
def test_no_tls_to_a_port_with(fails, ceph_rgw, command):
    url = ceph_rgw.https_url.replace("https:", "http:")
    fails(8, *command.split(), says=(url, "https"), MINIO_ENDPOINT=url)  # all that is seen is a connection that closes


@pytest.mark.parametrize("command", ["list", "upload f k"])
def test_certificate_that_nobody_trusts(fails, ceph_rgw, command):
    url = ceph_rgw.https_url
    fails(3, *command.split(), says=(url, "certificate", "STORAGE_CA_BUNDLE"), MINIO_ENDPOINT=url)


def test_bundles_that_are_none(fails, ceph_rgw, tmp_path):
    url, bundle = ceph_rgw.https_url, tmp_path / "ca.pem"
    fails(3, "list", says=("STORAGE_CA_BUNDLE", "ca.pem"), STORAGE_CA_BUNDLE=str(bundle))
    for content in (b"no certificate", b"\xff\xfe\x00"):
        bundle.write_bytes(content)
        fails(3, "upload", "f", "k", says=("ca.pem",), MINIO_ENDPOINT=url, STORAGE_CA_BUNDLE=str(bundle))


@pytest.mark.parametrize("command", ["list", "cat k", "delete k"])
def test_web_page(fails, stub, command):
    stub.answer = lambda request: page(200)
    fails(3, *command.split(), says=(stub.url, "check the endpoint"))


@pytest.mark.parametrize(("status", "code", "says"), [(404, 3, "check the endpoint"), (502, 8, "try again later")])
def test_web_page_of_an_error(fails, stub, status, code, says):
    stub.answer = lambda request: page(status)
    fails(code, "upload", "f", "k", says=(stub.url, says))


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://127.0.0.1:9000/{bucket}",
        "https://{bucket}.s3.amazonaws.com",
        "ftp://127.0.0.1",
        "http://user:pass@127.0.0.1",
        "http://",
        "http://127.0.0.1/?x=1",
    ],
)
def test_endpoint_that_is_none(fails, bucket, endpoint):
    fails(3, "list", says=("MINIO_ENDPOINT",), MINIO_ENDPOINT=endpoint.format(bucket=bucket))


# -- trouble at the store


@pytest.mark.parametrize("command", ["upload f k"])
def test_clock_that_is_wrong(fails, stub, command):
    stub.answer = lambda request: refusal(403, "RequestTimeTooSkewed")
    fails(5, *command.split(), says=("clock",))


@pytest.mark.parametrize("command", ["list", "upload f k"])
def test_store_that_is_busy_for_ever(fails, stub, command):
    stub.answer = lambda request: refusal(503, "SlowDown")
    fails(8, *command.split(), says=("try again later",), STORAGE_MAX_ATTEMPTS="3")
    assert len(stub.requests) == 3


@pytest.mark.parametrize("command", ["list", "upload f k"])
def test_store_that_is_busy_for_a_while(cloud, fails, stub, ceph_rgw, command):
    # Signatures are for the stub's address, and its requests go to the real server as they are.
    busy = iter(range(2))
    real = PassOn(ceph_rgw.http_url)
    stub.answer = lambda request: refusal(503, "SlowDown") if next(busy, None) is not None else real(request)
    cloud.ok(*command.split(), env={"STORAGE_MAX_ATTEMPTS": "5"})
    assert len(stub.requests) == 3
    busy = iter(range(2))
    fails(8, *command.split(), says=("try again later",), STORAGE_MAX_ATTEMPTS="1")
    assert len(stub.requests) == 4


def test_store_that_does_not_answer_in_time(fails, stub):
    release = threading.Event()
    stub.answer = lambda request: (release.wait(20), Reply(500))[1]
    try:
        for command in ("list", "upload f k"):
            fails(
                8, *command.split(), says=("no answer in time",), STORAGE_READ_TIMEOUT="0.3", STORAGE_MAX_ATTEMPTS="1"
            )
    finally:
        release.set()


# -- settings


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("STORAGE_READ_TIMEOUT", "soon"),
        ("STORAGE_MAX_ATTEMPTS", "0"),
        ("MINIO_MULTIPART_CHUNKSIZE", "1024"),
        ("MINIO_MULTIPART_THRESHOLD", "8MB"),
        ("MINIO_CREATE_BUCKETS", "perhaps"),
        ("STORAGE_CAPABILITIES", "create_if_absent"),
        ("STORAGE_CAPABILITIES", "fly=true"),
        ("STORAGE_PUBLIC_ENDPOINT_URL", "cdn.example.org"),
    ],
)
def test_setting_without_sense(fails, variable, value):
    fails(3, "list", says=(variable,), **{variable: value})


def test_settings_that_contradict_each_other(fails):
    variables = {"MINIO_MULTIPART_CHUNKSIZE": "9000000", "STORAGE_MULTIPART_CHUNKSIZE": "10000000"}
    fails(3, "list", says=tuple(variables), **variables)


# -- this side


def test_files_of_the_wrong_kind(cloud, fails, tmp_path):
    cloud.ok("upload", "f", "d/k")
    (tmp_path / "out" / "k").mkdir(parents=True)
    fails(10, "download", "d/", "out", says=("out/k", "directory"))
    fails(10, "download", "d/", "f", says=("'f' is a file",))
    fails(10, "download", "d/k", "f/k", says=("f/k",))
    fails(10, "upload", "missing", "k", says=("'missing'", "no such file"))
    os.mkfifo(tmp_path / "pipe")
    fails(10, "upload", "pipe", "k", says=("'pipe'", "not a regular file"))
    assert list((tmp_path / "out").rglob("*")) == [tmp_path / "out" / "k"]
    assert (tmp_path / "f").read_text() == "content"


@pytest.mark.parametrize("size", [700_000, 20 << 20])
def test_full_disk(cloud, mounted, unfinished, fails, tmp_path, size):
    (tmp_path / "big").write_bytes(os.urandom(size))
    cloud.ok("upload", "big", "d/big")
    point = mounted("size=1m")
    (point / "big").write_text("old")
    (point / "fill").write_bytes(bytes(600_000))
    fails(9, "download", "d/big", f"{point}/big", says=("no room", str(point)))
    assert (point / "big").read_text() == "old"
    assert unfinished(point) == []


def test_output_to_a_full_disk(cloud, tmp_path):
    cloud.ok("upload", "f", "k")
    with open("/dev/full", "w") as full:
        done = cloud("cat", "k", stdout=full)
    assert done.returncode == 9
    assert done.stderr.count("\n") == 1 and "free some space" in done.stderr


def test_program_without_the_extra(cloud, tmp_path):
    """An install without `lading[s3]` says how to get it."""
    hidden = tmp_path / "site"
    hidden.mkdir()
    (hidden / "sitecustomize.py").write_text(
        "import sys\nfor name in ('boto3', 'botocore', 'pycurl', 'tenacity'): sys.modules[name] = None\n"
    )
    done = cloud("list", env={"PYTHONPATH": str(hidden)})
    assert done.returncode == 3
    assert done.stderr.count("\n") == 1 and "pip install 'lading[s3]'" in done.stderr
