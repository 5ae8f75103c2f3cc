"""What all providers' settings have in common: strict, secret-safe, and apart from the environment.

A provider's settings are a model derived from `ProviderSettings` and stand in the provider's own file. A dict is the
whole truth: nothing here reads the environment but `read_environment`, which only `from_env` calls.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from domain.errors import ConfigurationError

_NAME = re.compile(r"[a-z]+(?:_[a-z]+)+")

EnvironmentNames = Mapping[str, tuple[str, ...]]
"""Field name -> the environment variables that may set it, all aliases of one another."""


class ProviderSettings(BaseModel):
    """The fields that every provider has. Unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    capabilities: dict[str, bool] = {}
    """Capabilities known to be otherwise than this provider's defaults."""

    @field_validator("capabilities", mode="before")
    @classmethod
    def _read_capabilities(cls, given: object) -> object:
        """An environment variable says `name=true,other=false`."""
        if not isinstance(given, str):
            return given
        pairs = [re.fullmatch(r"\s*([a-z_]+)\s*=\s*(true|false)\s*", pair) for pair in given.split(",")]
        if None in pairs:
            raise ValueError("write them as name=true,other=false")
        return {pair[1]: pair[2] == "true" for pair in pairs if pair}


Settings = TypeVar("Settings", bound=ProviderSettings)


def parse_settings(
    model: type[Settings], settings: Mapping[str, object], *, provider: str, names: EnvironmentNames | None = None
) -> Settings:
    """The dict as the provider's settings.

    Args:
        names: where the settings are from the environment: the variables to name in an error.

    Raises:
        ConfigurationError: a field is missing, unknown or has no such value. No value is shown: it may be a secret.
    """
    try:
        return model.model_validate(dict(settings))
    except ValidationError as error:
        found = error.errors(include_input=False)
        complaints = "; ".join(_complaint(item["type"], item["loc"], item["msg"], names or {}) for item in found)
        if any(item["type"] == "extra_forbidden" for item in found):
            complaints += f" (known are {', '.join(model.model_fields)})"
        raise ConfigurationError(f"the settings are not right: {complaints}", provider=provider) from None


def _complaint(kind: str, place: tuple[int | str, ...], message: str, names: EnvironmentNames) -> str:
    message = message.removeprefix("Value error, ")
    if not place:  # about several fields at once, which it names
        return _NAME.sub(lambda name: " or ".join(names.get(name[0], (name[0],))), message)
    field = ".".join(map(str, place))
    field = " or ".join(names.get(field, (field,)))
    if kind == "missing":
        return f"{field!r} is missing"
    if kind == "extra_forbidden":
        return f"{field!r} is unknown"
    return f"{field!r}: {message}"


def read_environment(
    names: EnvironmentNames, environ: Mapping[str, str], *, provider: str | None = None
) -> dict[str, str]:
    """The fields that the environment sets; an empty variable counts as unset.

    Raises:
        ConfigurationError: two aliases of one field have different values.
    """
    found: dict[str, str] = {}
    for field, aliases in names.items():
        given = {name: environ[name] for name in aliases if environ.get(name)}
        if len(set(given.values())) > 1:
            raise ConfigurationError(
                f"{' and '.join(given)} say different things about {field}; unset all but one", provider=provider
            )
        if given:
            found[field] = next(iter(given.values()))
    return found


def missing_settings(
    model: type[ProviderSettings], names: EnvironmentNames, environ: Mapping[str, str], defaults: Mapping[str, object]
) -> list[str]:
    """The required settings that neither the environment nor `defaults` has, each as the variables that would set it."""
    return [
        " or ".join(names.get(field, (field,)))
        for field, declared in model.model_fields.items()
        if declared.is_required()
        and field not in defaults
        and not any(environ.get(name) for name in names.get(field, ()))
    ]
