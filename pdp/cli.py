"""The command `pdp`. Each group stands in a module of its own below `pdp/commands`; docs/commands.md shows them all."""

from __future__ import annotations

from typing import Annotated

import typer

from pdp.commands import (
    archive,
    audit,
    audit_search,
    bundle,
    bundle_mutate,
    bundle_space,
    caller,
    connector,
    console,
    cut_off,
    decide,
    delivery,
    directory,
    doctor,
    evaluate,
    exception,
    export,
    keys,
    replay,
    revision,
    revision_looks,
    scenario,
    serve,
    simulate,
    ssf,
    ssf_receiving,
    ssf_stream,
    token,
)
from pdp.commands.group import ErrorsAsExitCodes

app = typer.Typer(
    cls=ErrorsAsExitCodes,
    no_args_is_help=True,
    rich_markup_mode=None,  # loading Rich for a help page would triple its time
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(asked: bool) -> None:
    if asked:
        from pdp import __version__

        print(f"sekisho {__version__}")
        raise typer.Exit


@app.callback()
def pdp(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", is_eager=True, callback=_version)
    ] = False,
) -> None:
    """Sekisho: a zero-trust policy decision point.

    Exit codes: 0 fine, 1 the answer is no, 2 usage or bad input, 3 not ready, 70 a fault of ours.
    """


app.command("serve")(serve.serve)
app.command("eval")(evaluate.evaluate)
app.command("decide")(decide.decide)
app.command("replay")(replay.replay)
app.command("doctor")(doctor.doctor)
app.add_typer(scenario.app, name="scenario")
bundle_space.register(bundle.app)
revision_looks.register(bundle.app)
revision.register(bundle.app)
bundle_mutate.register(bundle.app)
app.add_typer(bundle.app, name="bundle")
app.add_typer(simulate.app, name="simulate")
app.add_typer(exception.app, name="exception")
app.add_typer(cut_off.app, name="cut-off")
delivery.register(export.app)
app.add_typer(export.app, name="export")
app.add_typer(directory.app, name="directory")
app.add_typer(connector.app, name="connector")
app.add_typer(caller.app, name="caller")
archive.register(audit.app)
audit_search.register(audit.app)
app.add_typer(audit.app, name="audit")
app.add_typer(token.app, name="token")
app.add_typer(keys.app, name="keys")
ssf_receiving.register(ssf.app)
ssf_stream.register(ssf.app)
app.add_typer(ssf.app, name="ssf")
app.add_typer(console.app, name="console")


def main() -> None:
    """The console script's entry."""
    app()


if __name__ == "__main__":
    main()
