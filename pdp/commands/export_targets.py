"""What an export command needs: the target with its mapping, the directory, the moment, and the rule model."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pdp.bundle.bundle import Bundle
    from pdp.export.port import Target
    from pdp.model.directory import CatalogueRow, Snapshot
    from pdp.model.input import Resource
    from pdp.model.rules import RuleModel
    from pdp.settings import Settings
    from pdp.space.space import DecisionSpace

MATRIX: Final = "matrix"


@dataclass(frozen=True, slots=True)
class Ground:
    """The directory that is exported for, and the moment for which the catalogue is read."""

    snapshot: Snapshot
    moment: datetime
    resources: list[tuple[CatalogueRow, Resource]]

    def model(self, space: DecisionSpace) -> RuleModel:
        from pdp.export.building import build_model

        return build_model(space, self.resources, self.moment.isoformat(timespec="seconds"))


def ground_of(settings: Settings, bundle: Bundle, at: datetime | None, *, demo: bool) -> Ground:
    """`at`: as it was asked for; None: as it is now, from whenever it has been so (`standing_since`)."""
    from pdp.directory.demo import demonstration
    from pdp.directory.demo_systems import demo_systems
    from pdp.export.catalogue import listed_resources, standing_since
    from pdp.model.directory import JST, snapshot_of

    moment = datetime.now(JST) if at is None else at.replace(tzinfo=JST) if at.tzinfo is None else at.astimezone(JST)
    stored = None if demo else _snapshot(settings, moment)
    if at is None:
        moment = standing_since(bundle, stored or snapshot_of(epoch=1, resources=demo_systems()), moment)
    snapshot = stored or demonstration(moment).snapshot(epoch=1, loaded_at=moment)
    return Ground(snapshot, moment, listed_resources(bundle, snapshot, moment))


class Part(NamedTuple):
    """A file that an administrator writes: what it is called, and what to do where it is missing."""

    ja: str
    en: str
    next_step: str


_MAPPING: Final = Part(
    "対応表",
    "the mapping",
    "`pdp export example TARGET --out FILE` で雛形を書き出し、"
    "`--mapping`（配信ではテナントファイルの `mapping`）で指定する / "
    "write one to begin with by `pdp export example TARGET --out FILE`; name it with `--mapping`, "
    "and for a delivery as `mapping` in the tenant's file",
)
TENANT_FILE: Final = Part(
    "テナントファイル",
    "the tenant's file",
    "docs/export-delivery.md の例から作り、`--tenant FILE` で指定する / "
    "make one after the example in docs/export-delivery.md, and name it with `--tenant FILE`",
)


def read_mapping_file(mapping: Path | None, part: Part = _MAPPING) -> dict[str, Any]:
    """What a mapping file, or another `part`, says; nothing where none is given. Raises SettingsError."""
    from pdp.errors import SekishoError, SettingsError
    from pdp.plain_yaml import load_one

    if mapping is None:
        return {}
    try:
        held = load_one(mapping.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SettingsError(
            f"{part.ja} `{mapping}` がない / {part.en} `{mapping}` is not there", next_step=part.next_step
        ) from None
    except OSError as fault:
        why = fault.strerror or type(fault).__name__
        raise SettingsError(f"{part.ja} `{mapping}` を読めない / {part.en} `{mapping}` cannot be read: {why}") from None
    except (ValueError, SekishoError) as fault:
        why = str(fault) if isinstance(fault, SekishoError) else "UTF-8 / not UTF-8"
        raise SettingsError(
            f"{part.ja} `{mapping}` を読めない / {part.en} `{mapping}` cannot be read: {why}", next_step=part.next_step
        ) from None
    if not isinstance(held, dict):
        raise SettingsError(
            f"{part.ja} `{mapping}` はキーと値の組で書く / {part.en} `{mapping}` must be an object of keys",
            next_step=part.next_step,
        )
    return held


def mapping_for(name: str, file: Path | None, model: RuleModel, *, demo: bool) -> Mapping[str, Any]:
    """The administrator's mapping; for the demonstration without one, that of an invented tenant."""
    from connectors.sase.example_tenants import example_mapping

    if demo and file is None and name != MATRIX:
        return example_mapping(name, model)
    return read_mapping_file(file)


def make_target(name: str, mapping: Mapping[str, Any]) -> Target:
    """Raises SettingsError for a mapping that the target cannot use."""
    from connectors.sase.registry import make
    from pdp.export.matrix import MatrixTarget

    return MatrixTarget() if name == MATRIX else make(name, mapping)


def _snapshot(settings: Settings, moment: datetime) -> Snapshot:
    """The directory as it stands; an empty one where there is none yet."""
    from pdp.commands.composed import store_of
    from pdp.directory.snapshot import load_snapshot
    from pdp.model.directory import snapshot_of

    if not settings.database_url and not (settings.state_path / "sekisho.db").exists():
        return snapshot_of(epoch=0, loaded_at=moment)
    with store_of(settings) as store:
        return load_snapshot(store, moment)


def model_in(files: Mapping[str, bytes]) -> RuleModel:
    """The rule model that stands beside exported files. Raises ExportError."""
    from msgspec import DecodeError

    from pdp.errors import ExportError
    from pdp.export.checking import MODEL
    from pdp.model.rules import decode_model

    try:
        return decode_model(files[MODEL])
    except (KeyError, DecodeError):
        raise ExportError("the rule model cannot be read", where=MODEL) from None


def write_mapping(out: Path, name: str, mapping: Mapping[str, Any]) -> None:
    """A mapping as YAML, in a new file. Raises SettingsError."""
    import yaml

    from pdp.errors import SettingsError

    text = yaml.safe_dump(dict(mapping), allow_unicode=True, sort_keys=False, default_flow_style=False, width=120)
    head = f"# {name}: 例の対応表。id はすべて架空のもの。 / An example: none of these ids is anybody's.\n"
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with out.open("x", encoding="utf-8") as file:
            file.write(head + text)
    except OSError as fault:
        raise SettingsError(f"the mapping cannot be written: {fault.strerror}") from None
