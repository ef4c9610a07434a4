"""`pdp console`: what the console needs of somebody at a terminal."""

from __future__ import annotations

import sys
from typing import Annotated, Final

import typer

from pdp.commands.options import LangOption

app: Final = typer.Typer(
    no_args_is_help=True, help="The console: local accounts for the day without an identity provider."
)


@app.command()
def account(
    name: Annotated[str, typer.Argument(help="Small letters, digits and . _ -")],
    role: Annotated[
        list[str], typer.Option("--role", help="author, approver, operator, auditor or administrator; may be repeated.")
    ],
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from the standard input.")
    ] = False,
    lang: LangOption = None,
) -> None:
    """Print the line of a local account for the file that `console.accounts_file` names. The password is not shown."""
    from pdp.commands.terminal import Terminal
    from pdp.console.accounts import account_line

    terminal = Terminal(lang, as_json=False)
    if password_stdin:
        password = sys.stdin.readline().rstrip("\n")
    else:
        password = typer.prompt(
            terminal.pick("パスワード", "password"), hide_input=True, confirmation_prompt=True, err=True
        )
    typer.echo(account_line(name, role, password))
