"""boto3, for what is asked seldom: buckets and unfinished uploads."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import cache
from typing import Any

from domain.errors import AccessDenied, InvalidRequest
from domain.storage import UnfinishedUpload
from infrastructure.storage.s3.dialect import Target
from infrastructure.storage.s3.errors import no_store, of_botocore
from infrastructure.storage.s3.redaction import redact_logs


class ControlPlane:
    """One bucket through boto3. Thread-safe; every call sends one request, and never another one."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._lock = threading.Lock()
        self._client_now: Any = None

    def close(self) -> None:
        """Close connections; the next call makes new ones."""
        with self._lock:
            if self._client_now is not None:
                self._client_now.close()
            self._client_now = None

    # -- the bucket

    def create_bucket(self) -> None:
        """Create the bucket; one that is there and ours is no error.

        Raises:
            AccessDenied: also where the name is another account's.
        """
        arguments: dict[str, Any] = {}
        if self._target.dialect.location_constraint and self._target.region != "us-east-1":
            arguments["CreateBucketConfiguration"] = {"LocationConstraint": self._target.region}

        try:
            self._client().create_bucket(Bucket=self._target.bucket, **arguments)
        except Exception as error:
            code = (getattr(error, "response", None) or {}).get("Error", {}).get("Code")
            if code == "BucketAlreadyOwnedByYou":
                return
            if code == "BucketAlreadyExists":
                raise AccessDenied(
                    f"the bucket name {self._target.bucket!r} is taken by another account; choose another",
                    provider=self._target.provider,
                ) from error
            if code == "InvalidBucketName":
                raise InvalidRequest(
                    f"the store takes no bucket named {self._target.bucket!r}", provider=self._target.provider
                ) from error
            raise of_botocore(self._target, error, f"make {self._target.place()}") from error

    # -- multipart uploads

    def unfinished_uploads(self, prefix: str) -> Iterator[UnfinishedUpload]:
        """The multipart uploads that were begun under `prefix` and neither completed nor aborted."""
        marker: dict[str, str] = {}
        while True:
            page = self._page(prefix, marker)
            for upload in page.get("Uploads", []):
                if upload["Key"].startswith(prefix):
                    yield UnfinishedUpload(upload["Key"], upload["UploadId"], upload.get("Initiated"))
            if not page.get("IsTruncated"):
                return
            marker = {"KeyMarker": page["NextKeyMarker"], "UploadIdMarker": page["NextUploadIdMarker"]}

    def _page(self, prefix: str, marker: dict[str, str]) -> dict[str, Any]:
        doing = f"list the unfinished uploads of {self._target.place()}"
        try:
            page: dict[str, Any] = self._client().list_multipart_uploads(
                Bucket=self._target.bucket, Prefix=prefix, **marker
            )
        except Exception as error:
            raise of_botocore(self._target, error, doing) from error
        if not page.keys() & {"Bucket", "IsTruncated"}:
            raise no_store(self._target, doing)
        return page

    # -- inside

    def _client(self) -> Any:
        with self._lock:
            if self._client_now is None:
                self._client_now = _make_client(self._target)
            return self._client_now


def _make_client(target: Target) -> Any:
    import boto3
    from botocore.config import Config
    from botocore.credentials import RefreshableCredentials

    redact_logs()
    dialect = target.dialect
    config = Config(
        region_name=target.region,
        signature_version="s3v4",
        s3={"addressing_style": "path" if target.path_style else "virtual"},
        connect_timeout=target.connect_timeout,
        read_timeout=target.read_timeout,
        max_pool_connections=target.connections,
        retries={"mode": "standard", "total_max_attempts": 1},
        request_checksum_calculation="when_supported" if dialect.checksums else "when_required",
        response_checksum_validation="when_supported" if dialect.checksums else "when_required",
        proxies={"http": target.proxy_url, "https": target.proxy_url} if target.proxy_url else None,
    )
    core = _session_without_environment()

    def metadata() -> dict[str, Any]:
        pair = target.credentials.current()
        ends = pair.expires_at.isoformat() if pair.expires_at else "9999-12-31T00:00:00+00:00"
        return {
            "access_key": pair.access_key_id,
            "secret_key": pair.secret_access_key,
            "token": pair.session_token,
            "expiry_time": ends,
        }

    core._credentials = RefreshableCredentials.create_from_metadata(metadata(), metadata, "lading")
    return boto3.Session(botocore_session=core).client(
        "s3", endpoint_url=target.endpoint_url, config=config, verify=target.ca_bundle or True
    )


@cache
def _loader() -> Any:
    """Remembers what botocore has read of S3, which is most of the time that a client takes to make."""
    from botocore.loaders import create_loader

    return create_loader()


def _session_without_environment() -> Any:
    """A botocore session to which no `AWS_*` variable and no `~/.aws` says anything: all is said by our settings."""
    import botocore.session
    from botocore.configprovider import ConstantProvider

    session = botocore.session.Session()
    session.register_component("data_loader", _loader())
    store = session.get_component("config_store")
    for name, (_, _, default, _) in botocore.session.Session.SESSION_VARIABLES.items():
        store.set_config_provider(name, ConstantProvider(default))
    store.set_config_provider("config_file", ConstantProvider("/dev/null"))
    store.set_config_provider("credentials_file", ConstantProvider("/dev/null"))
    store.set_config_provider("ignore_configured_endpoint_urls", ConstantProvider(True))
    return session
