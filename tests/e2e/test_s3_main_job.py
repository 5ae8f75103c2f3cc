"""The main job on a real server, under the names of each cloud: a folder goes there, others can read it, it comes back."""

import hashlib
import json
import os
import random

import pytest
from cloud_environment import minio_variables, s3_variables
from plain_client import plain_client

MIB = 1 << 20


@pytest.fixture
def bucket(ceph_rgw, new_bucket):
    return new_bucket(ceph_rgw)


@pytest.fixture
def plain(ceph_rgw):
    """boto3 with nothing of ours."""
    client = plain_client(ceph_rgw)
    yield client
    client.close()


def variables(kind, server, bucket):
    """What a user of this cloud writes into the environment, the store being the test's."""
    host = server.http_url.removeprefix("http://")
    tls_host = server.https_url.removeprefix("https://")
    key, secret, bundle = server.access_key, server.secret_key, str(server.ca_bundle)
    every = {
        "minio": {**minio_variables(server, bucket), "MINIO_ENDPOINT": host},
        "minio by TLS": {
            **minio_variables(server, bucket),
            "MINIO_ENDPOINT": tls_host,
            "MINIO_SECURE": "true",
            "STORAGE_CA_BUNDLE": bundle,
        },
        "r2": {
            "STORAGE_PROVIDER": "r2",
            "R2_ENDPOINT": server.http_url,
            "CLOUDFLARE_R2_ACCESS_KEY": key,
            "CLOUDFLARE_R2_SECRET_KEY": secret,
            "CLOUDFLARE_R2_BUCKET": bucket,
        },
        "r2 as its SDK pages call it": {
            "STORAGE_PROVIDER": "cloudflare",
            "CLOUDFLARE_R2_ENDPOINT_URL": server.http_url,
            "CLOUDFLARE_R2_ACCOUNT_ID": "0123456789abcdef",
            "R2_ACCESS_KEY_ID": key,
            "R2_SECRET_ACCESS_KEY": secret,
            "R2_BUCKET_NAME": bucket,
        },
        "r2 in long names": {
            "STORAGE_PROVIDER": "cloudflare_r2",
            "R2_ENDPOINT": server.http_url,
            "CLOUDFLARE_R2_ACCESS_KEY_ID": key,
            "CLOUDFLARE_R2_SECRET_ACCESS_KEY": secret,
            "CLOUDFLARE_R2_BUCKET_NAME": bucket,
        },
        "s3": s3_variables(server, bucket),
        "s3 by TLS": {**s3_variables(server, bucket, server.https_url), "AWS_CA_BUNDLE": bundle},
        "b2": {
            "STORAGE_PROVIDER": "backblaze",
            "BACKBLAZE_ENDPOINT": server.http_url,
            "BACKBLAZE_KEY_ID": key,
            "BACKBLAZE_APPLICATION_KEY": secret,
            "BACKBLAZE_BUCKET": bucket,
        },
        "spaces": {
            "STORAGE_PROVIDER": "do",
            "DO_SPACES_ENDPOINT_URL": server.http_url,
            "DO_SPACES_KEY": key,
            "DO_SPACES_SECRET": secret,
            "DO_SPACES_NAME": bucket,
        },
        "wasabi": {
            "STORAGE_PROVIDER": "wasabi",
            "WASABI_ENDPOINT_URL": server.http_url,
            "WASABI_ACCESS_KEY": key,
            "WASABI_SECRET_KEY": secret,
            "WASABI_BUCKET": bucket,
        },
    }
    return every[kind]


@pytest.mark.parametrize("kind", ["minio", "r2", "s3 by TLS"])
def test_observations_go_and_come_back(storage, ceph_rgw, bucket, plain, observations, contents, tmp_path, kind):
    storage.env |= variables(kind, ceph_rgw, bucket)
    sent = storage.ok("sync", str(observations), "observations/")
    whole = contents(observations)
    assert "uploaded 5 files" in sent.stderr
    # Others see the same.
    types = {"fits": "image/fits", "jpg": "image/jpeg"}
    listed = plain.list_objects_v2(Bucket=bucket)["Contents"]
    assert [entry["Key"] for entry in listed] == sorted(f"observations/{name}" for name in whole)
    for name, sha256 in whole.items():
        found = plain.get_object(Bucket=bucket, Key=f"observations/{name}")
        assert hashlib.sha256(found["Body"].read()).hexdigest() == sha256
        assert found["Metadata"] == {"sha256": sha256}
        assert found["ContentType"] == types[name.rsplit(".")[-1]]
    # So do we.
    lines = storage.ok("list", "observations/").stdout.splitlines()
    assert [line.split()[-1] for line in lines] == [entry["Key"] for entry in listed]
    assert [int(line.split()[0]) for line in lines] == [entry["Size"] for entry in listed]
    told = json.loads(storage.ok("stat", "observations/m13.fits", "--json").stdout)
    assert told["sha256"] == whole["m13.fits"]
    assert told["content_type"] == "image/fits"
    assert told["etag"] == plain.head_object(Bucket=bucket, Key="observations/m13.fits")["ETag"].strip('"')
    card = storage.ok("cat", "observations/m13.fits", "--length", "80", binary=True).stdout
    assert card == (observations / "m13.fits").read_bytes()[:80]
    storage.ok("download", "observations/", "back/")
    assert contents(tmp_path / "back") == whole
    # Nothing is left to do, and nothing is done.
    before = [entry["LastModified"] for entry in listed]
    assert "uploaded 0 files, 0 bytes, 5 unchanged" in storage.ok("sync", str(observations), "observations/").stderr
    assert [entry["LastModified"] for entry in plain.list_objects_v2(Bucket=bucket)["Contents"]] == before
    assert "deleted 5 objects" in storage.ok("delete", "--recursive", "observations/", "--yes").stderr
    assert "Contents" not in plain.list_objects_v2(Bucket=bucket)


@pytest.mark.parametrize(
    "kind", ["minio by TLS", "r2 as its SDK pages call it", "r2 in long names", "s3", "b2", "spaces", "wasabi"]
)
def test_under_every_name_the_store_is_found(storage, ceph_rgw, bucket, plain, observations, kind):
    storage.env |= variables(kind, ceph_rgw, bucket)
    storage.ok("upload", str(observations / "m13.fits"), "d/", "--metadata", "source=ü 1")
    found = plain.head_object(Bucket=bucket, Key="d/m13.fits")
    assert found["Metadata"].keys() == {"sha256", "source"}
    assert found["ContentLength"] == (observations / "m13.fits").stat().st_size
    assert storage.ok("cat", "d/m13.fits", binary=True).stdout == (observations / "m13.fits").read_bytes()


def test_what_others_put_there_is_synced_by_its_bytes(storage, ceph_rgw, bucket, plain, observations, contents):
    """boto3 keeps no SHA-256 beside its objects."""
    storage.env |= minio_variables(ceph_rgw, bucket)
    for path in observations.iterdir():
        plain.put_object(Bucket=bucket, Key=f"o/{path.name}", Body=path.read_bytes())
    plain.put_object(Bucket=bucket, Key="o/m13.fits", Body=bytes((observations / "m13.fits").stat().st_size))
    assert "uploaded 1 file," in storage.ok("sync", str(observations), "o").stderr
    storage.ok("sync", "back", "o", "--direction", "download")
    assert contents(storage.cwd / "back") == contents(observations)


@pytest.mark.parametrize("how", ["MINIO_CREATE_BUCKETS", "STORAGE_CREATE_BUCKETS", "--create-bucket"])
def test_a_missing_bucket_is_made_when_asked_for(storage, ceph_rgw, bucket, plain, tmp_path, how):
    missing = f"{bucket}-new"
    storage.env |= minio_variables(ceph_rgw, missing)
    (tmp_path / "f").write_text("x")
    assert missing in storage.fails(4, "upload", "f", "k")
    if how.startswith("--"):
        storage.ok("upload", "f", "k", how)
        storage.ok("upload", "f", "k", how)
    else:
        storage.ok("upload", "f", "k", env={how: "true"})
    assert plain.get_object(Bucket=missing, Key="k")["Body"].read() == b"x"


@pytest.mark.parametrize("chunk", [16 * MIB, 9 * MIB])
def test_a_large_file_goes_in_parts(storage, ceph_rgw, bucket, plain, contents, tmp_path, chunk):
    storage.env |= minio_variables(ceph_rgw, bucket)
    if chunk != 16 * MIB:
        storage.env["MINIO_MULTIPART_CHUNKSIZE"] = str(chunk)
    size = 70 * MIB + 12345
    (tmp_path / "data").mkdir()
    with (tmp_path / "data" / "big.bin").open("wb") as file:
        file.write(random.Random(chunk).randbytes(MIB) * 70)
        file.write(b"e" * 12345)
    storage.ok("upload", "data/big.bin", "in/")
    count = -(-size // chunk)
    found = plain.head_object(Bucket=bucket, Key="in/big.bin")
    assert found["ETag"].endswith(f'-{count}"')
    assert found["ContentLength"] == size
    assert found["Metadata"]["sha256"] == contents(tmp_path / "data")["big.bin"]
    assert found["ContentType"] == "application/octet-stream"
    # R2 takes parts of one size only: the ETag is made of the parts' digests, so it tells where they ended.
    data = (tmp_path / "data" / "big.bin").read_bytes()
    digests = b"".join(hashlib.md5(data[at : at + chunk]).digest() for at in range(0, size, chunk))  # noqa: S324
    assert found["ETag"] == f'"{hashlib.md5(digests).hexdigest()}-{count}"'  # noqa: S324
    assert "Uploads" not in plain.list_multipart_uploads(Bucket=bucket)
    storage.ok("download", "in/big.bin", "back/")
    assert contents(tmp_path / "back") == contents(tmp_path / "data")
    assert "uploaded 0 files" in storage.ok("sync", "data", "in").stderr


def test_odd_names_and_sizes_come_back(storage, ceph_rgw, bucket, plain, contents, tmp_path):
    storage.env |= minio_variables(ceph_rgw, bucket)
    data = tmp_path / "data"
    data.mkdir()
    for number, name in enumerate(
        ["é ü.fits", "a+b c", "100%", "q?x=1&y=2", "#1", "a\nb", "empty", "~", "a;b=c", "'\"`"]
    ):
        (data / name).write_bytes(os.urandom(number) if name != "empty" else b"")
    (data / "8 MiB").write_bytes(bytes(8 * MIB))
    (data / "8 MiB and 1").write_bytes(bytes(8 * MIB + 1))
    storage.ok("sync", "data", "d")
    listed = plain.list_objects_v2(Bucket=bucket, EncodingType="url")["Contents"]
    assert len(listed) == len(contents(data))
    assert f"{len(listed)} unchanged" in storage.ok("sync", "data", "d").stderr
    storage.ok("download", "d", "back")
    assert contents(tmp_path / "back") == contents(data)
    told = [json.loads(line)["key"] for line in storage.ok("list", "d/", "--json").stdout.splitlines()]
    assert told == sorted((f"d/{name}" for name in contents(data)), key=str.encode)
    storage.ok("delete", "--recursive", "d", "--yes")
    assert "Contents" not in plain.list_objects_v2(Bucket=bucket)
