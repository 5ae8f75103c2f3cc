"""`storage replicate`: between local disk and a real gateway, both ways, and between buckets and users of the gateway."""

import hashlib
import json
from types import SimpleNamespace

import pytest
from cloud_environment import minio_variables
from plain_client import plain_client
from stores_by_hand import BucketByHand, FolderByHand
from stub_store import PassOn, StubStore

FILES = {"a.csv": "1,2\n", "d/é ü": "x", "empty": "", "big.bin": b"0123456789" * 900_000}

ODD_NAMES = ("a//b", "x/../y", "full/", "d", "100% ?#+&", "new\nline", "/lead")


@pytest.fixture
def plain(ceph_rgw):
    client = plain_client(ceph_rgw)
    yield client
    client.close()


@pytest.fixture
def stores(storage, ceph_rgw, plain, new_bucket, tmp_path):
    """Makes stores by hand: the first one is the active one, the other one's settings are in other.env."""

    def make(origin, other):
        made = []
        for number, kind in enumerate((origin, other)):
            if kind == "local disk":
                made.append(FolderByHand(tmp_path / f"store{number}"))
            else:
                made.append(BucketByHand(ceph_rgw, plain, new_bucket(ceph_rgw)))
        storage.env |= made[0].variables
        settings(tmp_path / "other.env", made[1].variables)
        return made

    return make


def settings(path, variables):
    path.write_text("".join(f"{name}={value}\n" for name, value in variables.items()))


def to(store, *more):
    return ("--to", store.provider, "--to-env", "other.env", *more)


@pytest.mark.parametrize(
    ("origin", "other"), [("local disk", "gateway"), ("gateway", "local disk"), ("gateway", "gateway")]
)
def test_objects_arrive_whole_and_are_told(storage, stores, folder, tmp_path, origin, other):
    here, there = stores(origin, other)
    folder("data", FILES)
    storage.ok("upload", "data", "r", "--metadata", "who=ü")
    here.put("r/by hand.txt", "by hand")
    here.put("s/not meant", "x")
    before = here.contents()
    wanted = {key: content for key, content in before.items() if key.startswith("r/")}
    shown = storage.ok("replicate", "r/", *to(there, "--dry-run", "--report", "rep.jsonl")).stdout
    assert "would replicate 5 files" in shown and "r/a.csv" in shown
    assert there.contents() == {} and not (tmp_path / "rep.jsonl").exists()
    done = storage.ok("replicate", "r/", *to(there, "--report", "rep.jsonl"))
    assert "replicated 5 files" in done.stderr
    assert there.contents() == wanted
    assert here.contents() == before
    rows = [json.loads(line) for line in (tmp_path / "rep.jsonl").read_text().splitlines()]
    assert rows == [
        {
            "key": key,
            "size": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
            "verdict": "same",
        }
        for key, content in sorted(wanted.items(), key=lambda item: item[0].encode())
    ]
    # The other store alone can tell what it has.
    told = json.loads(storage.ok("stat", "r/a.csv", "--json", env=there.variables).stdout)
    assert (told["content_type"], told["sha256"]) == ("text/csv", hashlib.sha256(b"1,2\n").hexdigest())
    assert told["metadata"] == {"who": "ü"}
    if isinstance(there, BucketByHand):
        head = there.client.head_object(Bucket=there.bucket, Key="r/big.bin")
        assert head["Metadata"].keys() == {"sha256", "who"}
        assert head["Metadata"]["sha256"] == hashlib.sha256(FILES["big.bin"]).hexdigest()
        assert "Uploads" not in there.client.list_multipart_uploads(Bucket=there.bucket)
    # Nothing is left to do.
    assert "replicated 0 files, 0 bytes, 5 unchanged" in storage.ok("replicate", "r/", *to(there)).stderr


def test_deletions_and_backups_at_the_other_store(storage, stores, tmp_path):
    here, there = stores("local disk", "gateway")
    for number in range(4):
        here.put(f"r/{number}", f"{number}")
    there.put("r/1", "old")
    for name in ("x", "y", "z"):
        there.put(f"r/{name}", name)
    before = there.contents()
    assert "3 would be deleted" in storage.fails(6, "replicate", "r/", *to(there, "--delete"))
    assert there.contents() == before
    said = storage.ok("replicate", "r/", *to(there, "--delete", "--max-delete", "3", "--backup")).stderr
    assert "3 objects moved to the trash of the other store; with its settings 'storage undo" in said
    now = {key: content for key, content in there.contents().items() if not key.startswith("deleted/")}
    assert now == {f"r/{number}": f"{number}".encode() for number in range(4)}
    storage.ok("undo", env=there.variables)
    now = {key: content for key, content in there.contents().items() if key in before}
    assert now == before
    assert here.contents().keys() == {f"r/{number}" for number in range(4)}


def test_the_root_goes_without_what_is_kept_for_others(storage, stores, tmp_path):
    here, there = stores("local disk", "gateway")
    for key in ("deleted/x", "temp/x", "cas/x", "a", "b/c"):
        here.put(key, key)
    args = to(there, "--report", "rep.jsonl")
    assert "left out: cas/, deleted/, temp/" in storage.ok("replicate", "", *args).stderr
    assert there.contents() == {"a": b"a", "b/c": b"b/c"}
    assert len((tmp_path / "rep.jsonl").read_text().splitlines()) == 2
    # Also where it goes under a prefix.
    storage.ok("replicate", "", *args, "--to-prefix", "bak/")
    assert there.contents("bak/") == {"bak/a": b"a", "bak/b/c": b"b/c"}
    # A report is about what the options choose.
    storage.ok("replicate", "b/", *args, "--to-prefix", "small", "--size-max", "2")
    assert (tmp_path / "rep.jsonl").read_text() == ""
    assert there.contents("small") == {}


def test_copy_that_goes_wrong_is_in_the_report(storage, stores, folder, tmp_path):
    here, there = stores("gateway", "local disk")
    folder("data", {f"{number}": f"content {number}" for number in range(3)})
    storage.ok("sync", "data", "r")
    here.tamper("r/1", b"Content 1")
    done = storage("replicate", "r/", *to(there, "--report", "rep.jsonl"))
    assert done.returncode == 7 and "'r/1' is corrupt" in done.stderr and "Traceback" not in done.stderr
    assert there.contents().keys() == {"r/0", "r/2"}
    rows = [json.loads(line) for line in (tmp_path / "rep.jsonl").read_text().splitlines()]
    assert [(row["key"], row["verdict"]) for row in rows] == [("r/0", "same"), ("r/1", "missing"), ("r/2", "same")]
    done = storage("replicate", "r/", *to(there, "--json"))
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert (done.returncode, lines[0]["event"], lines[-1]["event"]) == (7, "plan", "summary")
    assert [failed["key"] for failed in lines[-1]["failed"]] == ["r/1"]


def test_buckets_of_one_gateway_are_copied_by_the_gateway(storage, ceph_rgw, plain, new_bucket, folder, tmp_path):
    with StubStore(PassOn(ceph_rgw.http_url)) as line:
        here = BucketByHand(ceph_rgw, plain, new_bucket(ceph_rgw))
        there = BucketByHand(ceph_rgw, plain, new_bucket(ceph_rgw))
        storage.env |= minio_variables(ceph_rgw, here.bucket, line.url)
        settings(tmp_path / "other.env", minio_variables(ceph_rgw, there.bucket, line.url))
        folder("data", FILES)
        storage.ok("upload", "data", "r", "--metadata", "who=me")
        for name in ODD_NAMES:  # as this program stores them: what has no hash has to be read for one
            known = {"sha256": hashlib.sha256(name.encode()).hexdigest()}
            plain.put_object(Bucket=here.bucket, Key=f"r/{name}", Body=name, Metadata=known)
        before = len(line.requests)
        storage.ok("replicate", "r/", *to(there))
        assert there.contents() == here.contents()
        storage.ok("replicate", "r/", "--to", "minio", "--to-bucket", there.bucket, "--to-prefix", "again/")
        requests = line.requests[before:]
    assert [content for _, content in sorted(there.contents("again/").items())] == [
        content for _, content in sorted(here.contents().items())
    ]
    assert [
        request.target for request in requests if request.method == "GET" and "list-type" not in request.query
    ] == []
    assert all(len(request.body) < 10_000 for request in requests)
    head = plain.head_object(Bucket=there.bucket, Key="again/a.csv")
    assert (head["ContentType"], head["Metadata"]["who"]) == ("text/csv", "me")
    assert head["Metadata"]["sha256"] == hashlib.sha256(b"1,2\n").hexdigest()


def test_two_accounts_of_one_gateway(storage, ceph_rgw, plain, new_bucket, folder, tmp_path):
    """Neither may read what the other has: the bytes go through here."""
    user = new_bucket(ceph_rgw)  # any name that nobody else has
    keys = (f"{user}-key", f"{user}-secret")
    ceph_rgw.admin(
        "user", "create", f"--uid={user}", "--display-name=x", f"--access-key={keys[0]}", f"--secret-key={keys[1]}"
    )
    other = SimpleNamespace(http_url=ceph_rgw.http_url, access_key=keys[0], secret_key=keys[1])
    client = plain_client(other)
    here = BucketByHand(ceph_rgw, plain, new_bucket(ceph_rgw))
    there = BucketByHand(other, client, new_bucket(other))
    storage.env |= here.variables
    settings(tmp_path / "other.env", there.variables)
    folder("data", FILES)
    storage.ok("upload", "data", "r", "--metadata", "who=me")
    for name in ODD_NAMES:
        here.put(f"r/{name}", name)
    said = storage.ok("replicate", "r/", *to(there, "--report", "rep.jsonl"))
    assert keys[1] not in said.stdout + said.stderr
    assert there.contents() == here.contents()
    assert client.head_object(Bucket=there.bucket, Key="r/a.csv")["Metadata"]["who"] == "me"
    verdicts = {json.loads(line)["verdict"] for line in (tmp_path / "rep.jsonl").read_text().splitlines()}
    assert verdicts == {"same"}
    there.delete("r/a.csv")
    bucket = f"{there.bucket}-new"
    assert bucket in storage.fails(4, "replicate", "r/d/", *to(there, "--to-bucket", bucket))
    storage.ok("replicate", "r/d/", *to(there, "--to-bucket", bucket, "--create-bucket"))
    assert client.get_object(Bucket=bucket, Key="r/d/é ü")["Body"].read() == b"x"
    client.close()


def test_settings_that_are_wrong(storage, store, put, tmp_path):
    put("r/a")
    settings(tmp_path / "other.env", {"STORAGE_LOCAL_PATH": str(tmp_path / "other")})
    settings(tmp_path / "s3.env", {"STORAGE_PROVIDER": "s3"})
    (tmp_path / "bad.env").write_text("# here\n\nSTORAGE_LOCAL_PATH other\n")
    (tmp_path / "half.env").write_text("STORAGE_LOCAL_PATH\n")
    assert "'nowhere'" in storage.fails(3, "replicate", "r/", "--to", "nowhere", "--to-env", "other.env")
    assert "none.env" in storage.fails(3, "replicate", "r/", "--to", "local", "--to-env", "none.env")
    assert "line 3 of 'bad.env'" in storage.fails(3, "replicate", "r/", "--to", "local", "--to-env", "bad.env")
    assert "line 1 of 'half.env'" in storage.fails(3, "replicate", "r/", "--to", "local", "--to-env", "half.env")
    assert "'s3'" in storage.fails(3, "replicate", "r/", "--to", "local", "--to-env", "s3.env")
    # Nothing is taken from elsewhere for what the file does not say.
    hostile = {"AWS_BUCKET_NAME": "b", "AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s"}
    assert "s3.env" in storage.fails(3, "replicate", "r/", "--to", "s3", "--to-env", "s3.env", env=hostile)
    assert "r/none/" in storage.fails(4, "replicate", "r/none/", "--to", "local", "--to-env", "other.env")
    for target in ("r/", "r/sub", "", "r"):
        said = storage.fails(2, "replicate", "r/", "--to", "local", "--to-prefix", target)
        assert "one place" in said or "in the other" in said
    assert storage("replicate", "r/").returncode == 2
    done = storage("replicate", "r/", "--to", "nowhere", "--json")
    assert (done.returncode, done.stdout, json.loads(done.stderr)["exit_code"]) == (3, "", 3)
    assert not (tmp_path / "other").exists()
    assert {path.name for path in store.rglob("*") if path.is_file()} == {"a"}
