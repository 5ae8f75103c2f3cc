"""The `storage` command as a user starts it: a process of its own, an environment of its own, a disk to look at."""

from __future__ import annotations

import hashlib
import os
import pty
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from plain_client import plain_client
from stores_by_hand import BucketByHand, FolderByHand, StoreByHand

CHECKOUT = Path(__file__).resolve().parents[2]
STORAGE = Path(sys.executable).with_name("storage")


@dataclass
class Storage:
    """Runs `storage` in the folder `cwd` with the variables `env` and no others."""

    cwd: Path
    env: dict[str, str]
    started: list[subprocess.Popen[str]] = field(default_factory=list)
    program: tuple[str, ...] = (str(STORAGE),)

    def __call__(self, *args: str | bytes, **more: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*self.program, *args], **self._all(more, stdout=-1, stderr=-1), check=False)

    def start(self, *args: str, **more: Any) -> subprocess.Popen[str]:
        """A process in a session of its own, ended with the test."""
        process = subprocess.Popen(
            [*self.program, *args], **self._all(more, stdout=-1, stderr=-1), start_new_session=True
        )
        self.started.append(process)
        return process

    def _all(self, more: dict[str, Any], **defaults: Any) -> dict[str, Any]:
        env = {k: v for k, v in (self.env | more.pop("env", {})).items() if v is not None}
        defaults |= {"stdin": subprocess.DEVNULL, "cwd": self.cwd, "env": env}
        if not more.pop("binary", False):
            defaults |= {"encoding": "utf-8", "errors": "surrogateescape"}
        return defaults | more

    def ok(self, *args: str | bytes, **more: Any) -> subprocess.CompletedProcess[str]:
        done = self(*args, **more)
        assert done.returncode == 0, (args, done.stderr)
        return done

    def fails(self, code: int, *args: str | bytes, **more: Any) -> str:
        """The one sentence with which the command fails."""
        done = self(*args, **more)
        assert done.returncode == code, (args, done.returncode, done.stderr)
        return one_sentence(done.stderr)

    def on_terminal(self, args: list[str], answer: bytes = b"") -> tuple[int, str]:
        """Run with a terminal as stdin, stdout and stderr: exit code and what it showed."""
        master, slave = pty.openpty()
        with subprocess.Popen(
            [*self.program, *args], env=self.env | {"TERM": "xterm"}, cwd=self.cwd,
            stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
        ) as process:  # fmt: skip
            os.close(slave)
            os.write(master, answer)
            shown = b""
            try:
                while part := os.read(master, 65536):
                    shown += part
            except OSError:
                pass  # Linux says EIO when the other side is closed
            os.close(master)
        return process.returncode, shown.decode()


def one_sentence(stderr: str) -> str:
    """The only complaint in `stderr`; a transfer's progress and summary may stand around it."""
    assert "Traceback" not in stderr, stderr
    complaints = [line for line in stderr.splitlines() if line.startswith("storage: ")]
    assert len(complaints) == 1, stderr
    assert "internal error" not in complaints[0], stderr
    rest = [line for line in stderr.splitlines() if line and line not in complaints]
    assert all(
        any(said in line for said in ("loading ", "loaded ", "replicat", "verified ", " not done")) for line in rest
    ), stderr
    return complaints[0]


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[Storage]:
    """`storage` on the local store `tmp_path/store`, run in `tmp_path`."""
    home = tmp_path / "home"
    home.mkdir()
    env = {
        "PATH": f"{STORAGE.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "HOME": str(home),
        "XDG_DATA_HOME": str(home / "share"),
        "LANG": "C.UTF-8",
        "STORAGE_LOCAL_PATH": str(tmp_path / "store"),
    }
    run = Storage(tmp_path, env)
    yield run
    for process in run.started:
        for pid in in_session(process.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.kill()
        process.communicate()


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Where the objects of `storage` are."""
    return tmp_path / "store"


@pytest.fixture
def put(store: Path) -> Callable[..., None]:
    """Puts objects there by hand, as ordinary files."""

    def write(*keys: str, content: str = "x") -> None:
        for key in keys:
            (store / key).parent.mkdir(parents=True, exist_ok=True)
            (store / key).write_text(content)

    return write


@pytest.fixture(params=["local disk", "gateway"])
def place(request: pytest.FixtureRequest, storage: Storage, store: Path) -> Iterator[StoreByHand]:
    """The store of `storage`, seen from outside: a folder, then a bucket of a real server."""
    if request.param == "local disk":
        storage.env |= FolderByHand(store).variables
        yield FolderByHand(store)
        return
    server = request.getfixturevalue("ceph_rgw")
    client = plain_client(server)
    found = BucketByHand(server, client, request.getfixturevalue("new_bucket")(server))
    storage.env |= found.variables
    yield found
    client.close()


@pytest.fixture
def folder(tmp_path: Path) -> Callable[..., Path]:
    """Makes a folder in `tmp_path` of files by name."""

    def make(name: str, files: Mapping[str, str | bytes]) -> Path:
        for path, content in files.items():
            (tmp_path / name / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name / path).write_bytes(content.encode() if isinstance(content, str) else content)
        return tmp_path / name

    return make


@pytest.fixture
def observations() -> Path:
    return CHECKOUT / "examples" / "observations"


@pytest.fixture
def checkout() -> Path:
    return CHECKOUT


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@pytest.fixture
def contents() -> Callable[[Path], dict[str, str]]:
    """Every file below a folder with its SHA-256, read from the disk; the inner folder of a store left out."""

    def read(folder: Path) -> dict[str, str]:
        found = (path for path in folder.rglob("*") if path.is_file())
        names = {path.relative_to(folder): path for path in found}
        return {name.as_posix(): sha256(path) for name, path in names.items() if name.parts[0] != ".lading"}

    return read


@pytest.fixture
def unfinished() -> Callable[[Path], list[str]]:
    """What unfinished writes have left below a folder: parts of downloads, temporary files of a store."""

    def find(folder: Path) -> list[str]:
        parts = list(folder.rglob(".lading-part-*"))
        temporary = [path for path in folder.glob("**/.lading/tmp/*/*") if path.name != "alive"]
        return [str(path.relative_to(folder)) for path in parts + temporary]

    return find


def in_session(leader: int) -> list[int]:
    """The living processes of a session."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, session = entry.read_text().rpartition(")")[2].split()[:4]
        except OSError:
            continue
        if int(session) == leader and state not in "ZX":
            found.append(int(entry.parent.name))
    return found


@pytest.fixture
def living() -> Callable[[int], list[int]]:
    if not Path("/proc/self/stat").exists():
        pytest.skip("the processes of a session are read from /proc, which is not here")
    return in_session


@pytest.fixture
def wait_for() -> Callable[[Callable[[], Any]], Any]:
    """Wait until something is true, and give it; fail when it does not become so."""

    def wait(condition: Callable[[], Any], seconds: float = 30) -> Any:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if value := condition():
                return value
            time.sleep(0.005)
        raise AssertionError(f"did not become true in {seconds} s")

    return wait


@pytest.fixture
def bound_by_modes(storage: Storage) -> None:
    """`storage` runs as somebody whom the modes of files bind, also where the tests run as root."""
    if os.geteuid() == 0:
        storage.program = ("setpriv", "--bounding-set=-dac_override,-dac_read_search", *storage.program)
        if shutil.which("setpriv") is None or storage("providers").returncode:
            pytest.skip("run as root, whom modes do not bind, and setpriv can't change that")


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Mounts a tmpfs with the options given; needs root."""
    points: list[Path] = []

    def mount(options: str) -> Path:
        point = tmp_path / f"mount{len(points)}"
        point.mkdir()
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", point], capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
        points.append(point)
        return point

    try:
        yield mount
    finally:
        for point in points:
            subprocess.run(["umount", "-l", point], check=True)
