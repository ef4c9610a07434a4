"""`pdp export`: access rules for other enforcement points, never wider than the policy."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Exit, Option, Typer

from pdp.commands.call import StateCall, StoreCall, spread
from pdp.commands.exit_codes import NO
from pdp.commands.export_telling import show_export, show_unsound, show_verified
from pdp.commands.options import Anew, BundleDir, Children, ConfigFile, DatabaseUrl, LangOption, StateDir

if TYPE_CHECKING:
    from pdp.commands.terminal import Terminal
    from pdp.revisions.statement import SigningKey
    from pdp.settings import Settings

app = Typer(no_args_is_help=True, help="Export access rules to gateways, and hold exported rules to the policy.")

_MATRIX = "matrix"

_Mapping = Annotated[
    Path | None, Option("--mapping", metavar="FILE", help="YAML that maps our ids to the target's; docs/export.md.")
]
_At = Annotated[
    datetime | None,
    Option("--at", help="The moment for which the catalogue is read; default: now, from whenever it has stood so."),
]
_Demo = Annotated[
    bool,
    Option("--demo", help="The demonstration prefecture in place of the directory; without a mapping, invented ids."),
]


@app.callback()
def export() -> None:
    """Export access rules to gateways, and hold exported rules to the policy."""


def _command(name: str, what: str) -> None:
    """One command for each target, alike in everything but its name."""

    @app.command(name)
    @spread
    def run_target(
        call: StoreCall,
        out: Annotated[
            Path,
            Option("--out", metavar="DIR", help="Where the files go: a new folder, or an export of the same target."),
        ],
        mapping: _Mapping = None,
        at: _At = None,
        demo: _Demo = False,
        bundle: BundleDir = None,
        children: Children = None,
        anew: Anew = False,
    ) -> None:

        settings = call.settings(bundle=bundle)
        terminal = call.terminal
        _export(settings, terminal, name, out, mapping=mapping, at=at, demo=demo, children=children, anew=anew)

    run_target.__doc__ = (
        "The auditor's matrix: every rule as a row, as CSV and as a spreadsheet."
        if name == _MATRIX
        else f"Rules for {what}. Exit code 1 where they would be wider than the policy; then nothing is written."
    )


def register_targets() -> None:
    """A command for the matrix and for every target of the registry."""
    from connectors.sase.registry import MODULES, PREVIEWS

    for name in (_MATRIX, *MODULES):
        _command(name, f"{name} (preview)" if name in PREVIEWS else name)


register_targets()


def _export(  # the options of the command
    settings: Settings,
    terminal: Terminal,
    name: str,
    out: Path,
    *,
    mapping: Path | None,
    at: datetime | None,
    demo: bool,
    children: int | None,
    anew: bool,
) -> None:
    from pdp.commands.bundle_space import open_space
    from pdp.commands.composed import bundle_of, run
    from pdp.commands.export_files import refuse_other_folder, write_files
    from pdp.commands.export_targets import ground_of, make_target, mapping_for, read_mapping_file
    from pdp.export.checking import Inputs, mapping_digest
    from pdp.export.exporting import UnsoundExportError
    from pdp.export.exporting import export as finish
    from pdp.export.population import digest_of, weigher

    if not demo or mapping is not None:
        make_target(name, read_mapping_file(mapping))  # what is wrong there is told before the space is made
    refuse_other_folder(out, name)
    key = _signing_key(settings)
    bundle = bundle_of(settings)
    ground = ground_of(settings, bundle, at, demo=demo)
    space, seconds = run(open_space(settings, bundle, terminal, children, anew=anew))
    model = ground.model(space)
    held = mapping_for(name, mapping, model, demo=demo)
    inputs = Inputs(mapping_digest(held), digest_of(ground.snapshot))
    weigh = weigher(space, model, ground.snapshot, ground.moment)
    try:
        finished = finish(space, model, make_target(name, held), weigh, inputs=inputs, key=key)
    except UnsoundExportError as fault:
        show_unsound(terminal, name, fault)
        raise Exit(NO) from None
    write_files(out, finished.files)
    show_export(terminal, name, model, finished, seconds, signed_by=None if key is None else key.trusted.id)


@app.command("example")
def write_example(
    target: Annotated[str, Argument(metavar="TARGET", help="Whose mapping: envoy, prisma, …")],
    out: Annotated[Path, Option("--out", metavar="FILE", help="A new YAML file.")],
    at: _At = None,
    demo: _Demo = False,
    bundle: BundleDir = None,
    children: Children = None,
    anew: Anew = False,
    state_dir: StateDir = None,
    database_url: DatabaseUrl = None,
    lang: LangOption = None,
    config: ConfigFile = None,
) -> None:
    """A mapping to begin with: every system, group and set that the policy needs, with ids that nobody has."""
    from connectors.sase.example_tenants import example_mapping
    from pdp.commands.bundle_space import open_space
    from pdp.commands.composed import bundle_of, run, settings_of
    from pdp.commands.export_targets import ground_of, write_mapping
    from pdp.commands.terminal import Terminal

    terminal = Terminal(lang, as_json=False)
    settings = settings_of(config, bundle=bundle, state_dir=state_dir, database_url=database_url)
    found = bundle_of(settings)
    ground = ground_of(settings, found, at, demo=demo)
    space, _ = run(open_space(settings, found, terminal, children, anew=anew))
    write_mapping(out, target, example_mapping(target, ground.model(space)))
    terminal.say(
        terminal.pick(
            f"{out}: 例の id を、実際のテナントの id に置き換える", f"{out}: replace every id by the tenant's own"
        )
    )


@app.command("verify")
@spread
def verify_export(
    call: StateCall,
    folder: Annotated[Path, Argument(metavar="DIR", help="An exported folder.")],
    mapping: _Mapping = None,
    demo: _Demo = False,
    key: Annotated[
        list[str] | None,
        Option("--key", metavar="FILE", help="PEM, public: who must have signed; default: `bundle_keys`."),
    ] = None,
    bundle: BundleDir = None,
    children: Children = None,
    anew: Anew = False,
) -> None:
    """Hold an export against its certificate and the policy, from the files alone. Exit code 1 where it fails.

    Where a public key is known, the certificate has to be signed by it.
    """
    from pdp.commands.bundle_space import open_space
    from pdp.commands.composed import bundle_of, run
    from pdp.commands.export_files import read_files
    from pdp.commands.export_targets import make_target, mapping_for, model_in
    from pdp.errors import ExportError
    from pdp.export.checking import mapping_digest
    from pdp.export.exporting import UnsoundExportError, read_certificate, signer, verify
    from pdp.revisions.statement import read_keys

    terminal, settings = call.terminal, call.settings(bundle=bundle)
    files = read_files(folder)
    name = read_certificate(files).target
    keys = read_keys(key or settings.bundle_keys)
    held = mapping_for(name, mapping, model_in(files), demo=demo)
    target = make_target(name, held)
    try:
        signed_by = signer(files, keys)
        space, _ = run(open_space(settings, bundle_of(settings), terminal, children, anew=anew))
        certificate, report = verify(space, target, files, mapping_sha256=mapping_digest(held))
    except UnsoundExportError as fault:
        show_unsound(terminal, name, fault)
        raise Exit(NO) from None
    except ExportError as fault:
        terminal.answer(
            {"ok": False, "target": name, "fault": str(fault)},
            terminal.pick(f"証明書と合わない: {fault}", f"not as certified: {fault}"),
            style="bold red",
        )
        raise Exit(NO) from None
    show_verified(terminal, certificate, report, files, signed_by)


def _signing_key(settings: Settings) -> SigningKey | None:
    """The deployment's key for policies, which signs certificates too; None where it has none. Raises SettingsError."""
    from pdp.revisions.statement import read_signing_key

    return read_signing_key(settings.bundle_signing_key_file) if settings.bundle_signing_key_file else None
