"""The servers that other tests rely on: they answer, they refuse, and nothing of them is left."""

from __future__ import annotations

import os
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from ceph_rgw import CephRgw
from local_server import LocalServer
from moto_server import MotoServer
from owned_processes import ServerFailed
from plain_client import plain_client
from port_block import PortBlock
from rclone_server import RcloneS3

KINDS = (CephRgw, MotoServer, RcloneS3)

NewBucket = Callable[..., str]


@pytest.fixture(params=["ceph_rgw", "moto_server", "rclone_s3"])
def server(request: pytest.FixtureRequest) -> LocalServer:
    return request.getfixturevalue(request.param)


@pytest.fixture
def client() -> Iterator[Callable[..., Any]]:
    """`plain_client`, closed after the test."""
    with ExitStack() as opened:

        def connect(server: LocalServer, **overrides: Any) -> Any:
            made = plain_client(server, **overrides)
            opened.callback(made.close)
            return made

        yield connect


@pytest.fixture(params=KINDS, ids=lambda kind: kind.__name__)
def kind(request: pytest.FixtureRequest) -> type[LocalServer]:
    """A class of servers that can be started here."""
    if reason := request.param.missing():
        pytest.skip(reason)
    return request.param


def is_alive(pid: int) -> bool:
    """A process that has ended and that nobody has asked about is a zombie, and not alive."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/stat")
    return not status.exists() or status.read_text().rpartition(")")[2].split()[0] not in "ZX"


def test_an_object_is_stored(server: LocalServer, new_bucket: NewBucket, client) -> None:
    bucket, s3 = new_bucket(server), client(server)
    s3.put_object(Bucket=bucket, Key="a/ü 1", Body=b"data", Metadata={"source": "uci"})
    found = s3.get_object(Bucket=bucket, Key="a/ü 1")
    assert found["Body"].read() == b"data"
    assert {name.lower(): value for name, value in found["Metadata"].items()} == {"source": "uci"}
    assert [entry["Key"] for entry in s3.list_objects_v2(Bucket=bucket)["Contents"]] == ["a/ü 1"]


@pytest.mark.parametrize("region", ["auto", "eu-central-2", "us-east-005", "nyc3"])
def test_the_region_does_not_matter(server: LocalServer, new_bucket: NewBucket, client, region: str) -> None:
    bucket, s3 = new_bucket(server), client(server, region_name=region)
    s3.put_object(Bucket=bucket, Key="k", Body=b"data")
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"data"


def test_buckets_are_new_each_time(server: LocalServer, new_bucket: NewBucket, client) -> None:
    names = {new_bucket(server) for _ in range(3)}
    assert len(names) == 3
    assert all(3 <= len(name) <= 63 and "Contents" not in client(server).list_objects_v2(Bucket=name) for name in names)


@pytest.mark.parametrize("strange", [{"aws_secret_access_key": "no"}, {"aws_access_key_id": "no"}])
@pytest.mark.parametrize("server", ["ceph_rgw", "rclone_s3"], indirect=True)
def test_a_wrong_key_is_refused(server: LocalServer, client, strange: dict[str, str]) -> None:
    s3 = client(server, **strange)
    with pytest.raises(s3.exceptions.ClientError) as refusal:
        s3.list_buckets()
    assert refusal.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403


@pytest.mark.parametrize("server", ["ceph_rgw", "moto_server"], indirect=True)
def test_a_versioned_bucket_keeps_versions(server: LocalServer, new_bucket: NewBucket, client) -> None:
    bucket, s3 = new_bucket(server, versioned=True), client(server)
    first, _ = (s3.put_object(Bucket=bucket, Key="k", Body=body)["VersionId"] for body in (b"1", b"2"))
    s3.delete_object(Bucket=bucket, Key="k")
    assert s3.get_object(Bucket=bucket, Key="k", VersionId=first)["Body"].read() == b"1"
    assert len(s3.list_object_versions(Bucket=bucket)["Versions"]) == 2


@pytest.mark.parametrize("server", ["ceph_rgw", "moto_server"], indirect=True)
def test_an_object_that_is_there_is_not_overwritten_on_condition(
    server: LocalServer, new_bucket: NewBucket, client
) -> None:
    bucket, s3 = new_bucket(server), client(server)
    s3.put_object(Bucket=bucket, Key="k", Body=b"1", IfNoneMatch="*")
    with pytest.raises(s3.exceptions.ClientError, match="PreconditionFailed"):
        s3.put_object(Bucket=bucket, Key="k", Body=b"2", IfNoneMatch="*")


class TestCeph:
    @pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
    def test_https_shows_what_http_stored(self, ceph_rgw: CephRgw, new_bucket: NewBucket, client, host: str) -> None:
        bucket = new_bucket(ceph_rgw)
        client(ceph_rgw).put_object(Bucket=bucket, Key="k", Body=b"data")
        url = ceph_rgw.https_url.replace("127.0.0.1", host)
        s3 = client(ceph_rgw, endpoint_url=url, verify=str(ceph_rgw.ca_bundle))
        assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"data"
        s3.put_object(Bucket=bucket, Key="k", Body=b"other")
        assert client(ceph_rgw).get_object(Bucket=bucket, Key="k")["Body"].read() == b"other"

    def test_https_is_by_no_authority_that_others_trust(self, ceph_rgw: CephRgw, client) -> None:
        from botocore.exceptions import SSLError

        with pytest.raises(SSLError, match="CERTIFICATE_VERIFY_FAILED"):
            client(ceph_rgw, endpoint_url=ceph_rgw.https_url).list_buckets()

    def test_another_user_sees_nothing(self, ceph_rgw: CephRgw, new_bucket: NewBucket, client) -> None:
        bucket, keys = new_bucket(ceph_rgw), ("--access-key=stranger", "--secret-key=strange")
        assert '"stranger"' in ceph_rgw.admin("user", "create", "--uid=stranger", "--display-name=stranger", *keys)
        s3 = client(ceph_rgw, aws_access_key_id="stranger", aws_secret_access_key="strange")  # noqa: S106 - invented
        with pytest.raises(s3.exceptions.ClientError, match="AccessDenied"):
            s3.list_objects_v2(Bucket=bucket)

    def test_a_command_that_fails_says_so(self, ceph_rgw: CephRgw) -> None:
        with pytest.raises(ServerFailed, match="no user info saved"):
            ceph_rgw.admin("user", "info", "--uid=nobody")

    @pytest.fixture
    def unbootable(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CephRgw:
        """A gateway whose last program, `radosgw`, complains and ends."""
        if reason := CephRgw.missing():
            pytest.skip(reason)
        programs = tmp_path / "bin"
        programs.mkdir()
        (programs / "radosgw").write_text("#!/bin/sh\necho 'the moon is full' >&2\nexit 3\n")
        (programs / "radosgw").chmod(0o755)
        monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
        return CephRgw(tmp_path / "server")

    def test_a_boot_that_fails_shows_the_log_and_leaves_nothing(self, unbootable: CephRgw) -> None:
        with pytest.raises(ServerFailed, match=r"(?s)rgw ended with 3\n.*the moon is full"):
            unbootable.start()
        assert unbootable.pids == {}


class TestLife:
    def test_two_at_once_share_nothing_and_stop_ends_all_processes(
        self, kind: type[LocalServer], tmp_path: Path, new_bucket: NewBucket, client
    ) -> None:
        with kind(tmp_path / "one") as one, kind(tmp_path / "two") as two:
            pids = [*one.pids.values(), *two.pids.values()]
            bucket = new_bucket(one)
            assert [found["Name"] for found in client(one).list_buckets()["Buckets"]] == [bucket]
            assert client(two).list_buckets()["Buckets"] == []
            assert all(map(is_alive, pids))
        assert len(pids) == (6 if kind is CephRgw else 2)
        assert not any(map(is_alive, pids))
        assert one.pids == two.pids == {}

    @pytest.mark.parametrize("end", ["sys.exit()", "os.kill(os.getpid(), signal.SIGKILL)"], ids=["exits", "is killed"])
    def test_a_server_ends_with_the_process_that_started_it(
        self, kind: type[LocalServer], end: str, tmp_path: Path, start
    ) -> None:
        if "SIGKILL" in end and shutil.which("setpriv") is None:
            pytest.skip("setpriv, which binds a server to the life of its tests, is not here")
        module, folder = kind.__module__, Path(__file__).parents[1] / "servers"
        script = f"""
import os, pathlib, signal, sys
sys.path.insert(0, sys.argv[1])
from {module} import {kind.__name__}
server = {kind.__name__}(pathlib.Path(sys.argv[2])).start()
print(*server.pids.values(), flush=True)
sys.stdin.readline()
{end}
"""
        process = start(script, folder, tmp_path / "server")
        pids = [int(pid) for pid in process.stdout.readline().split()]
        assert pids
        assert all(map(is_alive, pids))
        process.communicate("end\n", timeout=30)
        deadline = time.monotonic() + 10
        while any(map(is_alive, pids)):
            assert time.monotonic() < deadline, pids
            time.sleep(0.005)

    def test_moto_forgets(self, tmp_path: Path, new_bucket: NewBucket, client) -> None:
        if reason := MotoServer.missing():
            pytest.skip(reason)
        with MotoServer(tmp_path) as server:
            new_bucket(server)
            server.reset()
            assert client(server).list_buckets()["Buckets"] == []


def test_blocks_of_ports_do_not_overlap_and_can_be_listened_on() -> None:
    with ExitStack() as opened:
        blocks = [PortBlock() for _ in range(5)]
        for block in blocks:
            opened.callback(block.close)
        ports = [port for block in blocks for port in block.numbers]
        assert len(set(ports)) == 5 * 15
        for port in ports:
            opened.enter_context(socket.create_server(("127.0.0.1", port)))
