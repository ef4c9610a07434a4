"""One call of a command as one value: where it works, and the terminal that it answers on.

Nearly every command has these options, and they stand last in its help. A command takes its call as the first
parameter and is `spread`: Typer then sees the fields of the call as options of their own.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass
from functools import cache, cached_property, wraps
from inspect import Parameter, Signature, get_annotations, signature
from typing import TYPE_CHECKING, Any

from pdp.commands.options import AsJson, ConfigFile, DatabaseUrl, LangOption, StateDir

if TYPE_CHECKING:
    from collections.abc import Callable

    from pdp.commands.terminal import Terminal
    from pdp.settings import Settings


@dataclass(frozen=True)
class PlainCall:
    """Of a command that only people read."""

    lang: LangOption = None
    config: ConfigFile = None

    @cached_property
    def terminal(self) -> Terminal:
        from pdp.commands.terminal import Terminal

        return Terminal(self.lang, as_json=False)

    def settings(self, **overrides: object) -> Settings:
        """The settings with what the command line says on top. Raises SettingsError."""
        from pdp.commands.composed import settings_of

        return settings_of(self.config, **overrides)


@dataclass(frozen=True)
class Call(PlainCall):
    """Of a command whose answer scripts can have as JSON."""

    as_json: AsJson = False

    @cached_property
    def terminal(self) -> Terminal:
        from pdp.commands.terminal import Terminal

        return Terminal(self.lang, as_json=self.as_json)


@dataclass(frozen=True)
class PlainStateCall(PlainCall):
    """Of a command about the state of the service on this host, which only people read."""

    state_dir: StateDir = None

    def settings(self, **overrides: object) -> Settings:
        return super().settings(state_dir=self.state_dir, **overrides)


@dataclass(frozen=True)
class StateCall(Call):
    """Of a command about the state of the service on this host."""

    state_dir: StateDir = None

    def settings(self, **overrides: object) -> Settings:
        return super().settings(state_dir=self.state_dir, **overrides)


@dataclass(frozen=True)
class StoreCall(Call):
    """Of a command about the state of the service and its database."""

    state_dir: StateDir = None
    database_url: DatabaseUrl = None

    def settings(self, **overrides: object) -> Settings:
        return super().settings(state_dir=self.state_dir, database_url=self.database_url, **overrides)


def spread(command: Callable[..., None]) -> Callable[..., None]:
    """The command for Typer: without its first parameter, and with the fields of that call as its last options."""
    call, *own = signature(command, eval_str=True).parameters.values()
    shared = _options(call.annotation)

    @wraps(command)
    def spread_command(**given: Any) -> None:
        asked = call.annotation(**{option.name: given.pop(option.name) for option in shared})
        command(asked, **given)

    options = [*(one.replace(kind=Parameter.KEYWORD_ONLY) for one in own), *shared]
    spread_command.__signature__ = Signature(options)  # type: ignore[attr-defined]  # what `inspect` asks for first
    spread_command.__annotations__ = {}  # they stand in the signature, read once: a hundred commands take their time
    return spread_command


@cache
def _options(call: type[PlainCall]) -> tuple[Parameter, ...]:
    """A class's own fields stand before those that it inherits: from where a command works to how it speaks."""
    defaults = {field.name: field.default for field in fields(call)}
    annotations = (get_annotations(part, eval_str=True) for part in call.__mro__ if is_dataclass(part))
    return tuple(
        Parameter(name, Parameter.KEYWORD_ONLY, default=defaults[name], annotation=annotation)
        for part in annotations
        for name, annotation in part.items()
    )
