"""Options that several commands have, so that they are spelt and explained alike. Typer reads the annotations."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from typer import Argument, Option

Lang = Literal["ja", "en"]
EngineName = Literal["regorus", "opa"]
Profile = Literal["zta", "plain"]

AsJson = Annotated[bool, Option("--json", help="Machine-readable output: JSON on stdout and nothing else there.")]
LangOption = Annotated[Lang | None, Option("--lang", help="Language of the output; default: from LANG, else English.")]

ConfigFile = Annotated[Path | None, Option("--config", help="Settings file; default: pdp.toml, where it exists.")]
StateDir = Annotated[str | None, Option("--state-dir", help="Directory of the service's state; default: var.")]
DatabaseUrl = Annotated[str | None, Option("--database-url", help="Directory database; default: SQLite in the state.")]
BundleDir = Annotated[str | None, Option("--bundle", help="Bundle directory; default: the policies that come along.")]
EngineChoice = Annotated[EngineName | None, Option("--engine", help="Rego engine; default: regorus.")]
OpaUrl = Annotated[str | None, Option("--opa-url", help="Address of the OPA server, with --engine opa.")]

Children = Annotated[int | None, Option(min=1, max=64, help="Evaluator processes; default: one per core.")]
Anew = Annotated[bool, Option("--anew", help="Make the decision space anew, whatever is kept of an earlier run.")]

RevisionNumber = Annotated[int, Argument(metavar="N", help="The revision's number.", min=1)]
