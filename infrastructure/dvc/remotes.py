"""The remote of DVC that a provider is, and how a repository gets to know it: its secrets where git does not look."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable
from urllib.parse import unquote, urlsplit

from domain.errors import ConfigurationError, LocalFileError, UnsupportedOperation
from domain.local_files import LocalSource, ReplacementFile, printable_path
from domain.storage import IStorageProvider
from infrastructure.dvc.dvc_file import MISSING_EXTRA
from infrastructure.storage.s3.credentials import StoreAccess

_SECRETS = ("access_key_id", "secret_access_key", "session_token")
_OF_THIS_MACHINE = (*_SECRETS, "profile", "ssl_verify")
_SHARED = ("url", "endpointurl", "region", "verify")

# Of every kind of remote that DVC knows.
_SECRET_OPTION = re.compile(
    r"access_key_id|secret_access_key|session_token|password|passphrase|.*_secret|.*_token|account_key|connection_string|"
    r"sse_customer_key|client_id|token|oss_key_.*|keyfile"
)

_NAME = re.compile(r"[a-z0-9_][a-z0-9_.-]{0,99}")


@runtime_checkable
class GivesAccess(Protocol):
    """A provider that can tell another program how to reach its store."""

    def access(self) -> StoreAccess:
        """See `S3CompatibleProvider.access`."""


class Remote(NamedTuple):
    """A remote of DVC.

    Attributes:
        shared: options that everybody who clones the repository needs.
        private: options of this machine, secrets among them.
    """

    shared: Mapping[str, str]
    private: Mapping[str, str]

    def __repr__(self) -> str:
        return f"Remote({self.shared['url']!r})"


def remote_of(provider: IStorageProvider, prefix: str, access: StoreAccess | None = None) -> Remote:
    """The remote that the part of a provider's store below `prefix` is.

    Args:
        access: how to get there; by default as the provider does.

    Raises:
        UnsupportedOperation: DVC can't reach this store.
        AccessDenied: the provider has no credentials.
    """
    place = provider.describe()
    scheme = urlsplit(place.url).scheme
    prefix = prefix.strip("/")
    if scheme == "file":
        folder = unquote(urlsplit(place.url).path)
        # DVC gives a corrupt file of a folder to whoever pulls, unless it is told to look.
        return Remote({"url": os.path.join(folder, prefix) if prefix else folder, "verify": "true"}, {})
    if scheme != "s3":
        raise UnsupportedOperation(
            f"DVC can't reach a store of the kind {provider.name!r}; use local disk or an S3-compatible store",
            provider=provider.name,
        )
    shared = {"url": f"{place.url}/{prefix}" if prefix else place.url}
    if place.endpoint_url:
        shared["endpointurl"] = place.endpoint_url
    if place.region:
        shared["region"] = place.region
    shared["verify"] = "true"
    if access is None and isinstance(provider, GivesAccess):
        access = provider.access()
    return Remote(shared, _private(access) if access else {})


def _private(access: StoreAccess) -> dict[str, str]:
    found = {"profile": access.profile, "ssl_verify": access.ca_bundle and os.path.abspath(access.ca_bundle)}
    if access.key_pair:
        pair = access.key_pair
        found |= dict(zip(_SECRETS, (pair.access_key_id, pair.secret_access_key, pair.session_token), strict=True))
    return {name: value for name, value in found.items() if value}


def checked_name(name: str) -> str:
    """The name of a remote, in the small letters in which DVC keeps it.

    Raises:
        ConfigurationError: it can't be one.
    """
    if not _NAME.fullmatch(name.lower()):
        raise ConfigurationError(
            f"{name!r} can't be the name of a DVC remote (DVC_REMOTE_NAME); use letters, digits, '-', '_' and '.'"
        )
    return name.lower()


class RemoteConfiguration:
    """The two files of a DVC repository in which remotes stand: `config`, in git, and `config.local`, on this machine only."""

    def __init__(self, dvc_folder: Path) -> None:
        self.shared = dvc_folder / "config"
        self.private = dvc_folder / "config.local"

    def write(self, name: str, remote: Remote) -> None:
        """Make `remote` the one called `name`, and the default. What else stands in the files stays.

        Raises:
            LocalFileError, InsufficientStorage: a file can't be read, parsed or written.
        """
        shared, private = _read(self.shared), _read(self.private)
        section = f'remote "{name}"'
        # The secrets come first: a remote without them would ask whoever this machine's own environment names.
        options = _without(private.get(section), _OF_THIS_MACHINE + _SHARED)
        _put(private, section, {**options, **remote.private})
        if remote.private or self.private.exists():
            _write(self.private, private, mode=0o600)
        before = shared.get(section) or {}
        same_kind = _scheme(before.get("url", "")) == _scheme(remote.shared["url"])
        kept = _without(before if same_kind else {}, _OF_THIS_MACHINE + _SHARED)
        _put(shared, section, {**remote.shared, **kept})
        core = shared.setdefault("core", {})
        core["remote"] = name
        _write(self.shared, shared, mode=None)

    def default(self) -> str | None:
        """The name of the default remote."""
        for path in (self.private, self.shared):
            core = _read(path).get("core")
            if isinstance(core, dict) and core.get("remote"):
                return str(core["remote"])
        return None

    def names(self) -> set[str]:
        """The names of the remotes of this repository."""
        sections = {*_read(self.shared), *_read(self.private)}
        found = (re.fullmatch(r"remote\s*\"(.*)\"", section, re.IGNORECASE) for section in sections)
        return {match[1].lower() for match in found if match}

    def cache_folder(self) -> Path | None:
        """The folder of DVC's cache, where this repository says that it is somewhere else than DVC has it."""
        for path in (self.private, self.shared):
            cache = _read(path).get("cache")
            if isinstance(cache, dict) and cache.get("dir"):
                return Path(os.path.abspath(path.parent / os.path.expanduser(str(cache["dir"]))))
        return None

    def secrets(self) -> list[str]:
        """Every secret in either file, which no message may show."""
        return [value for path in (self.private, self.shared) for _, value in _secret_options(_read(path))]

    def check_shared(self) -> None:
        """Refuse to have secrets put into git.

        Raises:
            ConfigurationError: there is one in the shared file.
        """
        for option, _ in _secret_options(_read(self.shared)):
            raise ConfigurationError(
                f"{printable_path(self.shared)!r} holds a secret ({option}), which git would keep for good; move it to "
                "config.local with 'dvc remote modify --local' and take it out there"
            )


def _secret_options(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for section, options in config.items():
        if section.lower().startswith("remote") and isinstance(options, dict):
            for option, value in options.items():
                if _SECRET_OPTION.fullmatch(option.lower()) and isinstance(value, str) and value:
                    yield option, value


def _scheme(url: str) -> str:
    return urlsplit(url).scheme if "://" in url else "file"


def _without(options: Mapping[str, Any] | None, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: value for name, value in (options or {}).items() if name.lower() not in names}


def _put(config: Any, section: str, options: Mapping[str, Any]) -> None:
    if not options:
        config.pop(section, None)
        return
    kept = config.setdefault(section, {})  # where it stands, with the comment before it
    for name in list(kept):
        del kept[name]
    kept.update(options)


def _read(path: Path) -> Any:
    try:
        from configobj import ConfigObj, ConfigObjError
    except ImportError as error:
        raise ConfigurationError(MISSING_EXTRA) from error
    data = b""
    if path.exists():
        with LocalSource(path) as source:
            while part := source.read(1 << 20):
                data += part
    try:
        config = ConfigObj(io.BytesIO(data), interpolation=False, encoding="utf-8", default_encoding="utf-8")
        config.indent_type = "    "  # as DVC writes it
        return config
    except (ConfigObjError, UnicodeDecodeError):
        # What it says repeats the line, with whatever stands there.
        raise LocalFileError(f"{printable_path(path)!r} is no configuration of DVC; correct it") from None


def _write(path: Path, config: Any, *, mode: int | None) -> None:
    text = io.BytesIO()
    config.write(text)
    with ReplacementFile(path) as file:
        if mode is not None:
            with file.errors:
                os.fchmod(file.fileno(), mode)  # before there is anything to read in it
        file.write(text.getvalue())
        file.commit()
