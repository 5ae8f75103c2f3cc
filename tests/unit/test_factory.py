"""The factory makes providers from dicts and says clearly why it can't."""

from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from domain.errors import ConfigurationError
from infrastructure.storage.providers import LocalProvider, MemoryProvider
from infrastructure.storage.storage_factory import StorageProviderFactory

SECRET = "hunter2-very-secret"  # noqa: S105

pytestmark = pytest.mark.usefixtures("fresh_registry")


def test_the_built_in_names_are_registered() -> None:
    names = StorageProviderFactory.get_registered_providers()
    assert {"local", "memory"} <= set(names)
    assert names == sorted(set(names))


def test_a_provider_is_made_from_its_name_and_its_settings(tmp_path: Path) -> None:
    config = {"provider_type": "local", "base_path": str(tmp_path)}
    provider = StorageProviderFactory.create(config)
    assert isinstance(provider, LocalProvider)
    assert provider.describe().url == tmp_path.resolve().as_uri()
    assert config == {"provider_type": "local", "base_path": str(tmp_path)}


@pytest.mark.parametrize("name", ["memory", "MEMORY", "Memory", " memory "])
def test_names_do_not_mind_case(name: str) -> None:
    assert isinstance(StorageProviderFactory.create({"provider_type": name}), MemoryProvider)
    assert isinstance(StorageProviderFactory.from_env({"STORAGE_PROVIDER": name}), MemoryProvider)
    assert [status.name for status in StorageProviderFactory.status({"STORAGE_PROVIDER": name}) if status.active] == [
        "memory"
    ]


def test_an_alias_makes_the_same_provider(tmp_path: Path) -> None:
    for alias in ("local", "file", "disk"):
        made = StorageProviderFactory.create({"provider_type": alias, "base_path": tmp_path})
        assert isinstance(made, LocalProvider)


@pytest.mark.parametrize("name", ["gopherdrive", "", "local\n/x"])
def test_an_unknown_name_lists_the_known_ones(name: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        StorageProviderFactory.create({"provider_type": name})
    for known in StorageProviderFactory.get_registered_providers():
        assert known in caught.value.message


@pytest.mark.parametrize("config", [{}, {"base_path": "/x"}, {"provider_type": None}, {"provider_type": 3}])
def test_without_a_name_nothing_is_made(config: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError, match="provider_type") as caught:
        StorageProviderFactory.create(config)
    assert "local" in caught.value.message


def test_a_registered_class_is_made_with_its_aliases() -> None:
    class Mine(MemoryProvider):
        name = "mine"

    StorageProviderFactory.register("mine", Mine, aliases=("my-own",))
    assert type(StorageProviderFactory.create({"provider_type": "mine"})) is Mine
    assert type(StorageProviderFactory.create({"provider_type": "my-own"})) is Mine
    assert {"mine", "my-own"} <= set(StorageProviderFactory.get_registered_providers())


@pytest.mark.parametrize(
    ("name", "aliases"), [("local", ()), ("mine", ("local",)), ("mine", ("disk",)), ("file", ()), ("taken", ())]
)
def test_a_name_that_is_taken_is_refused_whole(name: str, aliases: tuple[str, ...]) -> None:
    StorageProviderFactory.register("other", MemoryProvider, aliases=("taken",))
    before = StorageProviderFactory.get_registered_providers()
    with pytest.raises(ConfigurationError, match="two providers are called") as caught:
        StorageProviderFactory.register(name, "elsewhere:Mine", aliases=aliases)
    assert "elsewhere:Mine" in caught.value.message
    assert StorageProviderFactory.get_registered_providers() == before


@pytest.mark.parametrize("name", ["Mine", " mine", "", "MINE"])
def test_a_name_that_nobody_could_type_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError):
        StorageProviderFactory.register(name, MemoryProvider)


def test_a_missing_extra_prints_the_pip_line() -> None:
    StorageProviderFactory.register("x", "nonexistent_module:Y", extra="s3")
    with pytest.raises(ConfigurationError) as caught:
        StorageProviderFactory.create({"provider_type": "x"})
    assert "pip install 'lading[s3]'" in caught.value.message
    assert "nonexistent_module" in caught.value.message
    (status,) = [status for status in StorageProviderFactory.status({}) if status.name == "x"]
    assert "pip install 'lading[s3]'" in (status.problem or "")


@pytest.mark.parametrize("target", [f"{__name__}_nonexistent:Y", "domain.storage:Nonexistent", "no_attribute"])
def test_a_class_that_is_not_there_is_a_clear_error(target: str) -> None:
    StorageProviderFactory.register("x", target)
    with pytest.raises(ConfigurationError, match="'x' is not usable"):
        StorageProviderFactory.create({"provider_type": "x"})


@pytest.mark.parametrize("target", ["json:dumps", "json:JSONEncoder", "domain.storage:ObjectInfo"])
def test_what_is_no_provider_is_refused(target: str) -> None:
    StorageProviderFactory.register("x", target)
    with pytest.raises(ConfigurationError, match="no IStorageProvider"):
        StorageProviderFactory.create({"provider_type": "x"})


@pytest.mark.parametrize("failure", ["raise ImportError('boom')", "raise RuntimeError('boom')", "1/0", "def"])
def test_a_plug_in_that_fails_while_it_is_imported_does_not_take_the_others_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: str
) -> None:
    module = f"broken_plug_in_{failure[0]}{len(failure)}"
    (tmp_path / f"{module}.py").write_text(failure + "\n")
    monkeypatch.syspath_prepend(tmp_path)
    StorageProviderFactory.register("broken", f"{module}:Provider")
    with pytest.raises(ConfigurationError, match="broken"):
        StorageProviderFactory.create({"provider_type": "broken"})
    statuses = {status.name: status.problem for status in StorageProviderFactory.status({})}
    assert statuses["broken"]
    assert statuses["local"] is None


HOSTILE = {
    "STORAGE_PROVIDER": "nonsuch",
    "STORAGE_LOCAL_PATH": "/somebody/elses",
    "STORAGE_LOCAL_DURABLE": "perhaps",
    "AWS_ACCESS_KEY_ID": "somebody",
    "AWS_SESSION_TOKEN": SECRET,
    "BASE_PATH": "/somebody/elses",
    "base_path": "/somebody/elses",
    "BUCKET_NAME": "elses",
    "bucket_name": "elses",
    "CAPABILITIES": "{}",
}


def test_a_dict_is_the_whole_truth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in HOSTILE.items():
        monkeypatch.setenv(name, value)
    provider = StorageProviderFactory.create({"provider_type": "local", "base_path": tmp_path})
    assert provider.describe().url == tmp_path.resolve().as_uri()
    assert StorageProviderFactory.create({"provider_type": "memory"}).describe().bucket == "memory"
    with pytest.raises(ConfigurationError, match="'base_path' is missing"):
        StorageProviderFactory.create({"provider_type": "local"})


@pytest.mark.parametrize(
    "settings",
    [
        {"secret_access_key": SECRET},
        {"durable": SECRET},
        {"capabilities": SECRET},
        {"capabilities": {"presign": SECRET}},
        {"create_base_path": [SECRET]},
    ],
)
def test_settings_that_are_not_right_name_the_field_and_show_no_value(
    tmp_path: Path, settings: dict[str, object]
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        StorageProviderFactory.create({"provider_type": "local", "base_path": tmp_path, **settings})
    assert next(iter(settings)) in caught.value.message
    assert SECRET not in str(caught.value)
    assert SECRET not in repr(caught.value.__cause__)


def test_an_unknown_field_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="'bas_path' is unknown") as caught:
        StorageProviderFactory.create({"provider_type": "local", "base_path": tmp_path, "bas_path": "x"})
    assert "base_path" in caught.value.message
    assert caught.value.provider == "local"


def test_an_unknown_capability_is_refused(tmp_path: Path) -> None:
    config = {"provider_type": "local", "base_path": tmp_path, "capabilities": {"teleport": True}}
    with pytest.raises(ConfigurationError, match="teleport"):
        StorageProviderFactory.create(config)


@pytest.mark.parametrize("base_path", ["~no-such-user-here/store", "a\0b", ["x"], 3])
def test_a_base_path_that_can_be_no_folder_is_a_configuration_error(base_path: object) -> None:
    with pytest.raises(ConfigurationError):
        StorageProviderFactory.create({"provider_type": "local", "base_path": base_path})


def test_an_empty_base_path_is_not_the_current_folder() -> None:
    with pytest.raises(ConfigurationError):
        StorageProviderFactory.create({"provider_type": "local", "base_path": ""})


def test_threads_that_use_it_first_at_the_same_time_all_see_every_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.metadata

    searching, found = threading.Event(), threading.Event()

    def slow(**_: object) -> list[SimpleNamespace]:
        searching.set()
        found.wait(5)
        return [SimpleNamespace(name="plugged", value="infrastructure.storage.providers:MemoryProvider")]

    monkeypatch.setattr(importlib.metadata, "entry_points", slow)
    outcomes: list[object] = []

    def use() -> None:
        try:
            outcomes.append(type(StorageProviderFactory.create({"provider_type": "plugged"})))
        except ConfigurationError as error:
            outcomes.append(error)

    threads = [threading.Thread(target=use) for _ in range(2)]
    threads[0].start()
    assert searching.wait(5)
    threads[1].start()
    threads[1].join(0.3)
    found.set()
    for thread in threads:
        thread.join(10)
    assert outcomes == [MemoryProvider, MemoryProvider]
