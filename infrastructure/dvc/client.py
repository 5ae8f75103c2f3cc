"""`DVCClient`: datasets in a folder that git and plain `dvc` look after, their content in the store of a provider."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from domain.errors import (
    ConfigurationError,
    ContentCorrupted,
    InvalidRequest,
    LocalFileError,
    ObjectNotFound,
    PreconditionFailed,
)
from domain.local_files import PART_PREFIX, local_error, printable_path
from domain.purposes import OWN_PREFIX, Purpose
from domain.storage import IStorageProvider
from infrastructure.dvc.addresses import address_of
from infrastructure.dvc.dvc_file import DvcFile, assign_remote, read_dvc_file, write_dvc_file
from infrastructure.dvc.history import history
from infrastructure.dvc.programs import run_dvc, run_git
from infrastructure.dvc.remotes import RemoteConfiguration, checked_name, remote_of
from infrastructure.storage.s3.credentials import StoreAccess

REMOTE_NAME = "storage"
"""What the provider's remote is called where nobody says otherwise."""


class DVCClient:
    """Drives the real `dvc` and `git` in `workspace`; whatever it does, their users can read and go on with.

    Paths are relative to the workspace unless they are absolute. A dataset's id is the path of its `.dvc` file from
    there. The workspace may be a part of a larger repository.

    Args:
        provider: the store for the content; needed by `configure_remote` alone, and by default the one that
            `STORAGE_PROVIDER` names.
        remote_prefix: where in the store the content is. Nothing else may be there: `dvc gc` deletes what it does not know.
        credentials: how DVC gets to the store; by default as the provider does.

    Raises:
        ConfigurationError: the name can't be a remote's.
    """

    def __init__(
        self,
        workspace: str | os.PathLike[str],
        provider: IStorageProvider | None = None,
        *,
        remote_name: str = REMOTE_NAME,
        remote_prefix: str = OWN_PREFIX[Purpose.DVC],
        credentials: StoreAccess | None = None,
    ) -> None:
        self._workspace = Path(os.path.abspath(os.path.expanduser(workspace)))
        self._provider = provider
        self._remote_name = checked_name(remote_name)
        self._remote_prefix = remote_prefix
        self._credentials = credentials

    def __repr__(self) -> str:
        return f"{type(self).__name__}({printable_path(self._workspace)!r})"

    # -- the workspace

    def init_repo(self) -> None:
        """Make the workspace a repository of git and of DVC, as far as it is none. The next version commits DVC's files.

        Raises:
            ConfigurationError: DVC or git is not installed.
            LocalFileError: the folder can't be made.
        """
        try:
            self._workspace.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise local_error(error, printable_path(self._workspace), "make the folder") from error
        if self._git_root_or_none() is None:
            run_git(self._workspace, "init", "--quiet")
        if self._dvc_root_or_none() is None:
            inside = self._git_root() != Path(os.path.realpath(self._workspace))
            run_dvc(self._workspace, "init", *(["--subdir"] if inside else []))

    def configure_remote(self) -> str:
        """Make the provider's store the default remote of the repository; the URL of the remote.

        Address and region go into `.dvc/config`, which the next version puts into git. Credentials go into
        `.dvc/config.local`, which git ignores and only this user can read, so that whoever clones the repository brings
        their own. Where the provider asks boto3's credential chain, so does DVC, and nothing secret is written.

        Raises:
            ConfigurationError: the workspace is no DVC repository, or git would see the credentials.
            UnsupportedOperation: DVC can't reach this store.
        """
        configuration = self._configuration()
        remote = remote_of(self._active_provider(), self._remote_prefix, self._credentials)
        if remote.private:
            self._check_ignored(configuration.private)
        configuration.write(self._remote_name, remote)
        return remote.shared["url"]

    def _active_provider(self) -> IStorageProvider:
        if self._provider is None:
            from infrastructure.storage.storage_factory import StorageProviderFactory

            self._provider = StorageProviderFactory.from_env()
        return self._provider

    def _check_ignored(self, path: Path) -> None:
        plain = {"GIT_LITERAL_PATHSPECS": "0"}  # this command does not know the other kind
        # It says no of a file that git has already, whatever there is to ignore it.
        if run_git(path.parent, "check-ignore", "--quiet", path.name, may_fail=True, environment=plain) is None:
            raise ConfigurationError(
                f"git does not ignore {printable_path(path)!r}, where the credentials belong; have '/config.local' in "
                "the .gitignore beside it, and 'git rm --cached' the file if git has it already"
            )

    # -- datasets

    def add_dataset(self, dataset_path: str | os.PathLike[str], remote: str | None = None) -> str:
        """Have DVC track a file or folder as it is now; the dataset's id. Nothing is sent, and git is not told yet.

        Args:
            remote: the name of a remote of this repository that is to have the content, instead of the default one. The
                `.dvc` file keeps it.

        Raises:
            LocalFileError: the path is not there, outside of the workspace, or one that git has already.
            ConfigurationError: the workspace is no DVC repository, or has no such remote.
        """
        configuration = self._configuration()
        if remote is not None and remote.lower() not in configuration.names():
            known = ", ".join(sorted(configuration.names())) or "none yet: run 'storage dataset dvc remote'"
            raise ConfigurationError(f"there is no remote {remote!r} in this repository; there is {known}")
        dataset_id = self._add(self._dataset(dataset_path))
        if remote is not None:
            assign_remote(self._workspace / dataset_id, None if remote.lower() == configuration.default() else remote)
        return dataset_id

    def version_dataset(self, dataset_path: str | os.PathLike[str], message: str) -> str:
        """Have DVC track a file or folder as it is now, and commit its `.dvc` file to git; the commit's id.

        The commit holds the `.dvc` file, the `.gitignore` beside it, and those of DVC's own files that git lacks, without
        which nobody could pull; nothing else that was staged. Where the dataset is as it was committed last, that commit
        is the answer and nothing is committed.

        Raises:
            InvalidRequest: the message is empty.
            ConfigurationError: git does not know who commits, or `.dvc/config` holds a secret.
            LocalFileError, StorageError: as `add_dataset`.
        """
        if not message.strip():
            raise InvalidRequest("a version needs a message that says what it is")
        configuration = self._configuration()
        dataset = self._dataset(dataset_path)
        self._check_identity()
        configuration.check_shared()
        dataset_id = self._add(dataset)
        root = self._git_root()
        dvc_file = self._in_git(self._workspace / dataset_id)
        if not run_git(root, "status", "--porcelain", "--untracked-files=all", "--", dvc_file):
            return (run_git(root, "log", "-1", "--format=%H", "--", dvc_file) or b"").decode().strip()
        beside = (self._workspace / dataset_id).parent / ".gitignore"
        dvc_root = configuration.shared.parent
        belongings = (beside, configuration.shared, dvc_root / ".gitignore", dvc_root.parent / ".dvcignore")
        files = [dvc_file, *(self._in_git(path) for path in belongings if path.exists())]
        run_git(root, "add", "--", *files)
        said = message.encode("utf-8", "surrogateescape")
        run_git(root, "commit", "--quiet", "--only", "--file=-", "--cleanup=whitespace", "--", *files, given=said)
        return (run_git(root, "rev-parse", "HEAD") or b"").decode().strip()

    def push_dataset(self, dataset_id: str) -> None:
        """Send what the remote lacks of this dataset's content, from DVC's cache.

        Raises:
            ObjectNotFound: there is no such dataset, or some of its content is neither here nor there.
            ConfigurationError: there is no remote.
            AccessDenied, StoreUnavailable, StorageError: as DVC says.
        """
        self._run("push", "--", self._tracked(dataset_id))

    def pull_dataset(self, dataset_id: str, target_path: str | os.PathLike[str] | None = None) -> Path:
        """Fetch this dataset's content, and put it where it belongs or at `target_path`; the path.

        At another path it appears whole or not at all, as copies of its own. In its own place DVC replaces what it knows,
        and nothing that was changed since.

        Raises:
            ObjectNotFound: there is no such dataset, or the remote lacks some of it.
            PreconditionFailed: something else is in the place.
            ContentCorrupted, AccessDenied, StoreUnavailable, StorageError: as DVC says.
        """
        tracked = self._tracked(dataset_id)
        dvc_file = read_dvc_file(self._workspace / tracked)
        own = (self._workspace / tracked).parent / dvc_file.path
        target = own if target_path is None else Path(os.path.abspath(self._workspace / Path(target_path).expanduser()))
        if os.path.realpath(target) == os.path.realpath(own):
            self._run("pull", "--", tracked)
            return own
        with _place(target) as part:
            # 'dvc get' would give what is in the dataset's own place now, and what it takes from a remote is not verified.
            self._run("fetch", "--", tracked)
            self._check_out(part, dvc_file)
            _complete(part, dvc_file, printable_path(target))
        return target

    def list_versions(self, dataset_path: str | os.PathLike[str]) -> list[dict[str, object]]:
        """The versions of a dataset that git's history has, the newest first.

        Each is a dict of `commit`, `time` (ISO 8601), `message`, `author`, `md5` (with `.dir` for a folder), `size` (bytes),
        `nfiles` (None for a file), and `problem`: None, or why the `.dvc` file of that commit can't be read, where `md5`
        is None too.

        Raises:
            ObjectNotFound: neither the workspace nor git's history has such a dataset.
            ConfigurationError: the workspace is in no git repository.
        """
        path = self._inside(dataset_path)
        dvc_file = path if path.name.endswith(".dvc") else path.with_name(f"{path.name}.dvc")
        found: list[dict[str, object]] = []
        for entry in history(self._git_root(), self._in_git(dvc_file)):
            said = entry.dvc_file
            found.append(
                {
                    "commit": entry.commit,
                    "time": entry.time,
                    "message": entry.message,
                    "author": entry.author,
                    "md5": said.md5 if said else None,
                    "size": said.size if said else None,
                    "nfiles": said.nfiles if said else None,
                    "problem": entry.problem,
                }
            )
        if not found and not dvc_file.exists():
            raise self._no_dataset(dataset_path)
        return found

    def _check_out(self, part: Path, dvc_file: DvcFile) -> None:
        """Have DVC make `part` of what is in its cache, in a workspace of no more than that."""
        folder = part.parent
        here = folder / ".dvc"
        here.mkdir()
        cache = self._configuration().cache_folder()
        # Copies, for what is linked to the cache must never be written to.
        options = ["[core]", "no_scm = true", "[cache]", "type = reflink,copy"]
        if cache is None:
            (here / "cache").symlink_to(self._dvc_root() / ".dvc" / "cache")
        (here / "config").write_text("\n".join([*options, f'dir = """{cache}"""' if cache else ""]))
        write_dvc_file(folder / f"{part.name}.dvc", replace(dvc_file, path=part.name, remote=None))
        run_dvc(folder, "checkout", f"{part.name}.dvc", environment={"DVC_SITE_CACHE_DIR": str(folder / "site")})

    # -- what all of them need

    def _add(self, dataset: Path) -> str:
        # As './-x', which no program takes for an option.
        self._run("add", "--", os.path.join(".", os.path.relpath(dataset, self._workspace)))
        return os.path.relpath(dataset.with_name(f"{dataset.name}.dvc"), self._workspace)

    def _run(self, *arguments: str) -> str:
        return run_dvc(self._workspace, *arguments, secrets=self._configuration().secrets())

    def _dataset(self, given: str | os.PathLike[str]) -> Path:
        """The absolute path of what is to become a dataset."""
        path = self._inside(given)
        if not os.path.lexists(path):
            raise LocalFileError(f"there is no file or folder {printable_path(path)!r}; name one to be versioned")
        if path == self._workspace:
            raise LocalFileError("the workspace itself can't be a dataset; name a file or folder in it")
        if path.name.endswith(".dvc"):
            raise LocalFileError(f"{printable_path(path)!r} is what DVC says of a dataset; name the dataset itself")
        return path

    def _inside(self, given: str | os.PathLike[str]) -> Path:
        if not os.fspath(given) or "\0" in os.fspath(given):
            raise LocalFileError("the path of the dataset is empty or holds a NUL character; name a file or folder")
        path = Path(os.path.abspath(self._workspace / Path(given).expanduser()))
        workspace = Path(os.path.realpath(self._workspace))
        if not Path(os.path.realpath(path.parent), path.name).is_relative_to(workspace):
            raise LocalFileError(
                f"{printable_path(path)!r} is outside of the workspace {printable_path(self._workspace)!r}; DVC tracks "
                "only what is inside"
            )
        # Below the workspace as it was named, also where it was given by the way of a link.
        return self._workspace / os.path.relpath(Path(os.path.realpath(path.parent), path.name), workspace)

    def _tracked(self, dataset_id: str) -> str:
        """The `.dvc` file of a dataset, which its own path names too."""
        path = self._inside(dataset_id)
        if not path.name.endswith(".dvc"):
            path = path.with_name(f"{path.name}.dvc")
        if not path.is_file():
            raise self._no_dataset(dataset_id)
        return os.path.join(".", os.path.relpath(path, self._workspace))

    def _no_dataset(self, given: str | os.PathLike[str]) -> ObjectNotFound:
        return ObjectNotFound(
            f"there is no dataset {printable_path(given)!r} in {printable_path(self._workspace)!r}; its id is the path of "
            "its .dvc file"
        )

    def _configuration(self) -> RemoteConfiguration:
        return RemoteConfiguration(self._dvc_root() / ".dvc")

    def _dvc_root(self) -> Path:
        root = self._dvc_root_or_none()
        if root is None:
            raise ConfigurationError(
                f"{printable_path(self._workspace)!r} is in no DVC repository; run 'storage dataset dvc init' there"
            )
        return root

    def _dvc_root_or_none(self) -> Path | None:
        """The folder of the DVC repository that the workspace is in: never above git's, whose history it needs."""
        top = self._git_root_or_none()
        here = Path(os.path.realpath(self._workspace))
        for folder in (here, *here.parents):
            if (folder / ".dvc").is_dir():
                return folder
            if folder == top:
                break
        return None

    def _git_root(self) -> Path:
        root = self._git_root_or_none()
        if root is None:
            raise ConfigurationError(
                f"{printable_path(self._workspace)!r} is in no git repository; run 'storage dataset dvc init' there"
            )
        return root

    def _git_root_or_none(self) -> Path | None:
        if not self._workspace.is_dir():
            raise LocalFileError(f"there is no folder {printable_path(self._workspace)!r}; name the workspace")
        told = run_git(self._workspace, "rev-parse", "--show-toplevel", may_fail=True)
        return Path(os.path.realpath(os.fsdecode(told.removesuffix(b"\n")))) if told else None

    def _in_git(self, path: Path) -> str:
        """A path from the top of the git work tree."""
        real = os.path.join(os.path.realpath(path.parent), path.name)
        return os.path.relpath(real, self._git_root())

    def _check_identity(self) -> None:
        for whose in ("GIT_AUTHOR_IDENT", "GIT_COMMITTER_IDENT"):
            if run_git(self._workspace, "var", whose, may_fail=True) is None:
                raise ConfigurationError(
                    "git does not know who commits; run 'git config --global user.name NAME' and 'git config --global "
                    "user.email ADDRESS', or set GIT_AUTHOR_NAME, GIT_AUTHOR_EMAIL, GIT_COMMITTER_NAME and "
                    "GIT_COMMITTER_EMAIL"
                )


@contextmanager
def _place(target: Path) -> Iterator[Path]:
    """In its block the path at which to build what is then put at `target` in one step, where nothing may be."""
    shown = printable_path(target)
    if os.path.lexists(target) and not (target.is_dir() and not target.is_symlink() and not any(target.iterdir())):
        raise PreconditionFailed(f"{shown!r} is there already; name a path where nothing is, or an empty folder")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=PART_PREFIX, dir=target.parent, ignore_cleanup_errors=True) as folder:
            part = Path(folder, "part")
            yield part
            if target.is_dir() and not part.is_dir():
                target.rmdir()
            os.rename(part, target)
    except OSError as error:
        raise local_error(error, shown, "write") from error


def _complete(part: Path, dvc_file: DvcFile, shown: str) -> None:
    """What DVC leaves out: an empty folder, the bit of a program, and a look at whether all arrived as it was."""
    if dvc_file.is_folder:
        part.mkdir(exist_ok=True)
    elif dvc_file.is_executable:
        part.chmod(part.stat().st_mode | 0o111)
    if (found := address_of(part)) != dvc_file.md5:
        raise ContentCorrupted(
            f"what DVC fetched of {dvc_file.path!r} is corrupt: it is {found}, and the .dvc file says {dvc_file.md5}; "
            f"nothing was put at {shown!r}: push the dataset again from where it is whole"
        )
