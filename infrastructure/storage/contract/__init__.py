"""The promises of `domain.storage.IStorageProvider` as tests, for any provider to prove itself by.

Install the extra: `pip install 'lading[contract]'`. Then, in a test file of your own:

    import pytest
    from infrastructure.storage.contract import Harness, StorageProviderContract

    class MyHarness(Harness):
        def provider(self): ...                  # a fresh provider on an empty bucket
        def peek(self, provider, key): ...       # the stored bytes, read by other means than the provider
        def corrupt(self, provider, key): ...    # change a stored byte behind the provider's back

    class TestMyProvider(StorageProviderContract):
        @pytest.fixture
        def harness(self):
            return MyHarness()

A subclass can't override a test. What a store can't keep is a known gap: `Harness.known_gaps` names the test and the
reason; such a test is run all the same, and must fail. A capability that the provider does not declare is not skipped:
the tests then ask for `UnsupportedOperation`.
"""

import pytest

# Before the imports below: only then do the failures show the values compared.
pytest.register_assert_rewrite(
    *(
        f"{__name__}.{module}"
        for module in (
            "concurrency", "conditions", "copying", "deleting", "expected_content", "files", "group", "keys", "life", "listing",
            "many", "many_objects", "metadata", "model", "reading", "replicating", "verification", "writing",
        )
    )
)  # fmt: skip

from infrastructure.storage.contract.harness import Harness  # noqa: E402
from infrastructure.storage.contract.model import make_state_machine  # noqa: E402
from infrastructure.storage.contract.suite import StorageProviderContract  # noqa: E402

__all__ = ["Harness", "StorageProviderContract", "make_state_machine"]
