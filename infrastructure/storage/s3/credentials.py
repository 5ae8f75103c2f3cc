"""Who asks: a key pair that was given, or whatever boto3's chain finds and renews."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple, Protocol

from domain.errors import AccessDenied, ConfigurationError


class KeyPair(NamedTuple):
    """Credentials as they are at one moment. `expires_at` is None for those that stay."""

    access_key_id: str
    secret_access_key: str
    session_token: str | None = None
    expires_at: datetime | None = None

    def __repr__(self) -> str:
        return f"KeyPair({self.access_key_id[:4]}…)"


class StoreAccess(NamedTuple):
    """What another program needs to reach a store as we do, beside its address.

    Attributes:
        key_pair: None where boto3's chain finds it, which another program asks by itself.
        profile: the profile that the chain is to use; None for the default one.
        ca_bundle: path of a PEM file with the certificates to trust; None for the system's.
    """

    key_pair: KeyPair | None
    profile: str | None = None
    ca_bundle: str | None = None


class Credentials(Protocol):
    """Where a client asks for the key pair of its next request."""

    def current(self) -> KeyPair:
        """The key pair, renewed where it was about to expire. Cheap where it was not.

        Raises:
            AccessDenied: there is none, or it can't be renewed.
        """


class GivenCredentials:
    """The key pair of the settings; nothing is looked up anywhere."""

    def __init__(self, pair: KeyPair) -> None:
        self._pair = pair

    def current(self) -> KeyPair:
        return self._pair


def of_one_account(one: Credentials, other: Credentials) -> bool:
    """Whether both ask in one name. The access key tells; a secret only proves it, and is not looked at.

    Raises:
        AccessDenied: as `Credentials.current`.
    """
    if isinstance(one, ChainCredentials) and isinstance(other, ChainCredentials):
        return one.profile == other.profile  # each may have had a session of its own opened
    return one.current().access_key_id == other.current().access_key_id


class ChainCredentials:
    """boto3's chain: environment, shared files and profiles, SSO, roles, container and instance metadata, with renewal."""

    def __init__(self, provider: str, profile: str | None) -> None:
        self._provider = provider
        self.profile = profile
        self._found: Any = None

    def current(self) -> KeyPair:
        from botocore.exceptions import BotoCoreError

        try:
            frozen = self._chain().get_frozen_credentials()
        except BotoCoreError as error:
            raise AccessDenied(
                f"the credentials can't be had or renewed ({type(error).__name__}: {error}); sign in again",
                provider=self._provider,
            ) from error
        # botocore renews a quarter of an hour before the end; whoever keeps a pair must ask again before that.
        expires_at = getattr(self._found, "_expiry_time", None)
        return KeyPair(frozen.access_key, frozen.secret_key, frozen.token, expires_at)

    def _chain(self) -> Any:
        if self._found is None:
            import botocore.session
            from botocore.exceptions import ProfileNotFound

            session = botocore.session.Session(profile=self.profile)
            try:
                self._found = session.get_credentials()
            except ProfileNotFound as error:
                raise ConfigurationError(
                    f"there is no profile {self.profile!r} in the AWS configuration; check AWS_PROFILE",
                    provider=self._provider,
                ) from error
        if self._found is None:
            raise AccessDenied(
                "no credentials found; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or sign in",
                provider=self._provider,
            )
        return self._found
