"""What the contract needs to know of a provider: how to make one, and how to reach its store by another door."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

from domain.storage import IStorageProvider


class Harness(ABC):
    """The few lines that join a provider to the contract.

    `peek`, `put_behind` and `corrupt` go to the store itself (the disk, the database, the server by another client) and
    use nothing of the provider's own code: a provider that writes and reads wrongly in the same way must not pass.
    """

    known_gaps: Mapping[str, str] = {}
    """Test name (`test_x`, or `test_x[case]` for one case of it) -> why the store can't keep this promise."""

    racy_gaps: Mapping[str, str] = {}
    """As `known_gaps`, for what goes wrong only when requests meet at a bad moment: such a test may also pass."""

    examples: int = 50
    """How many examples a test draws, and how many turns its threads take. A store behind a network may do with fewer."""

    secrets: tuple[str, ...] = ()
    """The credentials in the settings; no message and no description may show one."""

    @abstractmethod
    def provider(self) -> IStorageProvider:
        """A fresh provider on an empty bucket that is there. Called several times in one test."""

    @abstractmethod
    def peek(self, provider: IStorageProvider, key: str) -> bytes | None:
        """The bytes that the store holds for `key`; None where it holds no such object."""

    @abstractmethod
    def corrupt(self, provider: IStorageProvider, key: str) -> None:
        """Change the first byte of a stored object so that nothing but its content tells: size and times stay."""

    def put_behind(self, provider: IStorageProvider, key: str, data: bytes) -> bool:
        """Put an object there as another program would: without a stored SHA-256.

        Returns:
            False where no other program can; the tests of such objects then expect nothing to be there.
        """
        return False
