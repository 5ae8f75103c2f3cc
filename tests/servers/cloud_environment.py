"""The variables with which a user points a provider at a test server."""

from __future__ import annotations

from plain_client import S3Server


def minio_variables(server: S3Server, bucket: str, url: str | None = None) -> dict[str, str]:
    """MinIO's, for a server at its own address or at that of something in front of it."""
    return {
        "STORAGE_PROVIDER": "minio",
        "MINIO_ENDPOINT": url or server.http_url,
        "MINIO_ACCESS_KEY": server.access_key,
        "MINIO_SECRET_KEY": server.secret_key,
        "MINIO_DEFAULT_BUCKET": bucket,
        "STORAGE_MAX_ATTEMPTS": "2",
    }


def s3_variables(server: S3Server, bucket: str, url: str | None = None) -> dict[str, str]:
    """Amazon's."""
    return {
        "STORAGE_PROVIDER": "s3",
        "AWS_ENDPOINT_URL": url or server.http_url,
        "AWS_ACCESS_KEY_ID": server.access_key,
        "AWS_SECRET_ACCESS_KEY": server.secret_key,
        "AWS_BUCKET_NAME": bucket,
        "AWS_REGION": "us-east-1",
        "STORAGE_MAX_ATTEMPTS": "2",
    }
