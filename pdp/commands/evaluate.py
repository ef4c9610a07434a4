"""`pdp eval`: documents in, verdicts out, line by line. No facts are looked up and nothing is recorded."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Option

from pdp.commands.call import PlainCall, spread
from pdp.commands.options import AsJson, BundleDir, EngineChoice, OpaUrl

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pdp.commands.terminal import Terminal
    from pdp.settings import Settings


@spread
def evaluate(
    call: PlainCall,
    file: Annotated[Path | None, Argument(help="JSON lines; default: standard input.", show_default=False)] = None,
    bundle: BundleDir = None,
    engine: EngineChoice = None,
    opa_url: OpaUrl = None,
    explain_bad_input: Annotated[
        bool, Option("--explain-bad-input", help="Say on stderr what is wrong with a line.")
    ] = False,
    children: Annotated[
        int | None, Option(min=1, max=64, help="Evaluator processes (regorus); default: one per core.")
    ] = None,
    as_json: AsJson = True,
) -> None:
    """Evaluate one input document per line; one verdict per line comes out, in the same order.

    A line that is no valid document is answered with a deny, BAD_INPUT; a document that the engine has no
    verdict for with a deny, EVALUATION_ERROR.
    """
    from pdp.commands.composed import run

    del as_json  # the output is always JSON lines; the option is there because every command has it
    settings = call.settings(bundle=bundle, engine=engine, opa_url=opa_url)
    run(_evaluate(settings, file, children, explain_bad_input, call.terminal))


async def _evaluate(
    settings: Settings, file: Path | None, children: int | None, explain: bool, terminal: Terminal
) -> None:
    import os
    import sys

    from pdp.commands.composed import bundle_of, engine_for
    from pdp.commands.lines import Fault, LineEvaluator, chunks_of

    bundle = bundle_of(settings)

    def tell(fault: Fault) -> None:
        if explain:
            terminal.remark(f"line {fault.number}: {fault.message}")

    def write(lines: bytes) -> None:
        sys.stdout.buffer.write(lines)
        sys.stdout.buffer.flush()

    cores = children or os.cpu_count() or 1
    with _opened(file) as (descriptor, size):
        async with engine_for(settings, bundle, children=cores) as activation:
            with terminal.progress(terminal.pick("評価", "evaluating"), size) as advance:
                lines = LineEvaluator(
                    activation.engine,
                    activation.active(),
                    distinct=settings.cache == "on",
                    on_fault=tell,
                    on_done=advance,
                )
                await lines.run(chunks_of(descriptor), write)
    if lines.unanswered:
        terminal.remark(
            terminal.pick(
                f"{lines.unanswered} 行は評価できず、EVALUATION_ERROR とした",
                f"{lines.unanswered} lines could not be evaluated and were answered with EVALUATION_ERROR",
            )
        )


@contextmanager
def _opened(file: Path | None) -> Iterator[tuple[int, int | None]]:
    """(descriptor, size where it is known) of the input. Raises BadRequestError where it cannot be read."""
    import os
    import sys

    from pdp.errors import BadRequestError

    if file is None:
        yield sys.stdin.fileno(), None
        return
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as fault:
        raise BadRequestError(f"`{file}` cannot be read: {fault.strerror}", next_step="name a file") from None
    try:
        yield descriptor, os.fstat(descriptor).st_size
    finally:
        os.close(descriptor)
