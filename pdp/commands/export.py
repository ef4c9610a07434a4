"""`pdp export`: access rules for other enforcement points, never wider than the policy."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Exit, Option, Typer

from pdp.commands.exit_codes import NO
from pdp.commands.export_telling import show_export, show_unsound, totals_of
from pdp.commands.options import AsJson, BundleDir, ConfigFile, DatabaseUrl, LangOption, StateDir

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pdp.commands.terminal import Terminal
    from pdp.export.port import Target
    from pdp.model.directory import Snapshot
    from pdp.settings import Settings
    from pdp.space.space import DecisionSpace

app = Typer(no_args_is_help=True, help="Export access rules to gateways, and hold exported rules to the policy.")

_MATRIX = "matrix"
_MAX_FILE_BYTES = 64 * 1024 * 1024  # of one exported file that is read back
_MAX_FILES = 1_000

_Mapping = Annotated[
    Path | None, Option("--mapping", metavar="FILE", help="YAML that maps our ids to the target's; docs/export.md.")
]
_Children = Annotated[int | None, Option(min=1, max=64, help="Evaluator processes; default: one per core.")]


@app.callback()
def export() -> None:
    """Export access rules to gateways, and hold exported rules to the policy."""


def _command(name: str) -> None:
    """One command for each target, alike in everything but its name."""

    @app.command(name)
    def run_target(
        out: Annotated[
            Path,
            Option("--out", metavar="DIR", help="Where the files go: a new folder, or an export of the same target."),
        ],
        mapping: _Mapping = None,
        at: Annotated[
            datetime | None, Option("--at", help="The moment for which the catalogue is read; default: now.")
        ] = None,
        bundle: BundleDir = None,
        children: _Children = None,
        state_dir: StateDir = None,
        database_url: DatabaseUrl = None,
        as_json: AsJson = False,
        lang: LangOption = None,
        config: ConfigFile = None,
    ) -> None:
        from pdp.commands.composed import settings_of
        from pdp.commands.terminal import Terminal

        settings = settings_of(config, bundle=bundle, state_dir=state_dir, database_url=database_url)
        _export(settings, name, out, mapping, at, children, Terminal(lang, as_json=as_json))

    run_target.__doc__ = (
        "The auditor's matrix: every rule as a row, as CSV and as a spreadsheet."
        if name == _MATRIX
        else f"Rules for {name}. Exit code 1 where they would be wider than the policy; then nothing is written."
    )


def register_targets() -> None:
    """A command for the matrix and for every target of the registry."""
    from connectors.sase.registry import MODULES

    for name in (_MATRIX, *MODULES):
        _command(name)


register_targets()


def _export(
    settings: Settings,
    name: str,
    out: Path,
    mapping: Path | None,
    at: datetime | None,
    children: int | None,
    terminal: Terminal,
) -> None:
    from pdp.commands.composed import bundle_of, run
    from pdp.export.building import build_model
    from pdp.export.catalogue import listed_resources
    from pdp.export.exporting import UnsoundExportError
    from pdp.export.exporting import export as finish
    from pdp.export.population import weigher
    from pdp.model.directory import JST

    made = _target(name, mapping)
    _refuse_other_folder(out, name)
    bundle = bundle_of(settings)
    moment = datetime.now(JST) if at is None else at.replace(tzinfo=JST) if at.tzinfo is None else at.astimezone(JST)
    snapshot = _snapshot(settings, moment)
    space, seconds = run(_open(settings, bundle, terminal, children))
    model = build_model(space, listed_resources(bundle, snapshot, moment), moment.isoformat(timespec="seconds"))
    try:
        finished = finish(space, model, made, weigher(space, model, snapshot, moment))
    except UnsoundExportError as fault:
        show_unsound(terminal, name, fault)
        raise Exit(NO) from None
    _write(out, finished.files)
    show_export(terminal, name, model, finished, seconds)


async def _open(
    settings: Settings, bundle: Any, terminal: Terminal, children: int | None
) -> tuple[DecisionSpace, float]:
    from pdp.commands.bundle_space import open_space

    return await open_space(settings, bundle, terminal, children)


@app.command("verify")
def verify_export(
    folder: Annotated[Path, Argument(metavar="DIR", help="An exported folder.")],
    mapping: _Mapping = None,
    bundle: BundleDir = None,
    children: _Children = None,
    state_dir: StateDir = None,
    as_json: AsJson = False,
    lang: LangOption = None,
    config: ConfigFile = None,
) -> None:
    """Hold an export against its certificate and the policy, from the files alone. Exit code 1 where it fails."""
    from pdp.commands.composed import bundle_of, run, settings_of
    from pdp.commands.terminal import Terminal
    from pdp.errors import ExportError
    from pdp.export.exporting import UnsoundExportError, read_certificate, verify

    terminal = Terminal(lang, as_json=as_json)
    settings = settings_of(config, bundle=bundle, state_dir=state_dir)
    files = _read(folder)
    name = read_certificate(files).target
    space, _ = run(_open(settings, bundle_of(settings), terminal, children))
    try:
        certificate, report = verify(space, _target(name, mapping), files)
    except UnsoundExportError as fault:
        show_unsound(terminal, name, fault)
        raise Exit(NO) from None
    except ExportError as fault:
        if as_json:
            terminal.json({"ok": False, "target": name, "fault": str(fault)})
        terminal.say(terminal.pick(f"証明書と合わない: {fault}", f"not as certified: {fault}"), style="bold red")
        raise Exit(NO) from None
    if as_json:
        terminal.json({"ok": True, **totals_of(certificate, report)})
    terminal.say(
        terminal.pick(
            f"{name}: 証明書のとおり。ポリシーより広い組合せ 0、拒否のまま残る組合せ {int(certificate.gap):,}",
            f"{name}: as certified. 0 vectors wider than the policy, {int(certificate.gap):,} stay denied",
        ),
        style="bold green",
    )


# What is needed.


def _target(name: str, mapping: Path | None) -> Target:
    from connectors.sase.registry import make
    from pdp.errors import SettingsError
    from pdp.export.matrix import MatrixTarget
    from pdp.plain_yaml import load_one

    if name == _MATRIX:
        return MatrixTarget()
    held: Any = {}
    if mapping is not None:
        try:
            held = load_one(mapping.read_text(encoding="utf-8"))
        except (OSError, ValueError) as fault:
            raise SettingsError(f"the mapping cannot be read: {type(fault).__name__}") from None
    if not isinstance(held, dict):
        raise SettingsError("the mapping must be an object of keys")
    return make(name, held)


def _snapshot(settings: Settings, moment: datetime) -> Snapshot:
    """The directory as it stands; an empty one where there is none yet."""
    from pdp.directory.snapshot import load_snapshot
    from pdp.model.directory import snapshot_of
    from pdp.parts import open_directory

    if not settings.database_url and not (settings.state_path / "sekisho.db").exists():
        return snapshot_of(epoch=0, loaded_at=moment)
    store = open_directory(settings)
    try:
        return load_snapshot(store, moment)
    finally:
        store.close()


def _refuse_other_folder(out: Path, name: str) -> None:
    from pdp.errors import ExportError
    from pdp.export.exporting import read_certificate

    if not out.exists() or not any(out.iterdir()):
        return
    if read_certificate(_read(out)).target != name:
        raise ExportError("the folder holds something else: name a new one")


def _read(folder: Path) -> dict[str, bytes]:
    from pdp.errors import ExportError

    if not folder.is_dir():
        raise ExportError("there is no such folder")
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    if len(paths) > _MAX_FILES or any(path.stat().st_size > _MAX_FILE_BYTES for path in paths):
        raise ExportError("the folder holds more than an export does")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def _write(out: Path, files: Mapping[str, bytes]) -> None:
    """Every file, the certificate last: a folder without one is an export that did not end."""
    from pdp.export.checking import CERTIFICATE

    (out / CERTIFICATE).unlink(missing_ok=True)
    for old in [path for path in out.rglob("*") if path.is_file()] if out.is_dir() else []:
        if old.relative_to(out).as_posix() not in files:
            old.unlink()
    for path in sorted(files, key=lambda name: (name == CERTIFICATE, name)):
        place = out / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(files[path])
