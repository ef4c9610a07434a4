"""`pdp bundle space` and `pdp bundle prove`: what a policy decides for every vector of facts, and what holds of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Exit, Option, Typer

from pdp.commands.call import StateCall, spread
from pdp.commands.exit_codes import NO
from pdp.commands.options import Anew, Children

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from pdp.bundle.bundle import Bundle
    from pdp.commands.terminal import Terminal
    from pdp.settings import Settings
    from pdp.space.diagram import Vector
    from pdp.space.invariants import Proof
    from pdp.space.space import DecisionSpace

    Opened = Callable[[Settings, Bundle], Awaitable[tuple[DecisionSpace, float]]]

_Directory = Annotated[
    Path | None, Argument(metavar="DIR", help="Bundle directory; default: the configured one.", show_default=False)
]


def register(app: Typer) -> None:
    """Add the two commands to `pdp bundle`."""
    app.command("space")(space)
    app.command("prove")(prove)


@spread
def space(call: StateCall, directory: _Directory = None, children: Children = None, anew: Anew = False) -> None:
    """Every fact that the policy can tell apart, with its values, and how many vectors of them have each outcome."""
    from pdp.commands.composed import run

    terminal = call.terminal
    settings, bundle = _bundle(call, directory)
    made, seconds = run(open_space(settings, bundle, terminal, children, anew=anew))
    outcomes = made.outcomes()
    if terminal.as_json:
        terminal.json({**_head(made, seconds), "outcomes": {name: str(count) for name, count in outcomes.items()},
                       "facts": [{"name": f.name, "values": list(f.values)} for f in made.facts.values()]})  # fmt: skip
        return
    _show_head(terminal, made, seconds)
    terminal.table(
        [terminal.pick("判定", "outcome"), terminal.pick("事実の組合せ", "vectors of facts")],
        [[_outcome(terminal, name), f"{count:,}"] for name, count in outcomes.items()],
    )
    from pdp.explain.fact_words import fact_words, value_words

    terminal.table(
        [terminal.pick("事実", "fact"), "", terminal.pick("値", "values")],
        [
            [
                f.name,
                terminal.text(fact_words(f.name)),
                ", ".join(terminal.text(value_words(f.name, v)) for v in f.values),
            ]
            for f in made.facts.values()
        ],
    )


@spread
def prove(
    call: StateCall,
    directory: _Directory = None,
    invariants: Annotated[
        Path | None,
        Option("--invariants", metavar="FILE", help="YAML with further invariants; docs/decision-space.md."),
    ] = None,
    children: Children = None,
    anew: Anew = False,
) -> None:
    """Hold the policy to its invariants, for every vector of facts. Exit code 1 where one has a counterexample.

    A counterexample is put to the policy itself once more before it is shown.
    """
    from functools import partial

    from pdp.commands.composed import run
    from pdp.gates.proofs import proof_told
    from pdp.space.invariants import SHIPPED, read_invariants

    terminal = call.terminal
    settings, bundle = _bundle(call, directory)
    asked = [*SHIPPED, *(read_invariants(invariants) if invariants else ())]
    made, proofs, confirmed, seconds = run(
        _prove(settings, bundle, partial(open_space, terminal=terminal, children=children, anew=anew), asked)
    )
    if terminal.as_json:
        told = [proof_told(made, proof, confirmed) for proof in proofs]
        terminal.json({**_head(made, seconds), "ok": all(proof.holds for proof in proofs), "invariants": told})
    else:
        _show_head(terminal, made, seconds)
        for proof in proofs:
            _show_proof(terminal, made, proof, confirmed)
    if not all(proof.holds for proof in proofs):
        raise Exit(NO)


def _bundle(call: StateCall, directory: Path | None) -> tuple[Settings, Bundle]:
    from pdp.commands.composed import bundle_of

    settings = call.settings(bundle=None if directory is None else str(directory))
    return settings, bundle_of(settings)


async def open_space(
    settings: Settings, bundle: Bundle, terminal: Terminal, children: int | None = None, *, anew: bool = False
) -> tuple[DecisionSpace, float]:
    """The space of this bundle, kept below the state's folder under its seal, and how many seconds it took.

    A file that this deployment did not write is told on stderr, and the space is made.
    """
    import os
    from functools import partial
    from time import monotonic

    from pdp.space.asking import asker_for
    from pdp.space.keeping import Shelf, kept_space

    def refused() -> None:
        terminal.remark(
            terminal.pick(
                "保存された判定空間は、この環境で作られたものでないため使わない（作り直す）",
                "the kept decision space was not sealed here, and is not used: it is made anew",
            )
        )

    begun = monotonic()
    secret = _secret(settings.state_path / "spaces.key")
    with terminal.busy(terminal.pick("判定空間を求めている", "finding the decision space")):
        opener = partial(asker_for, children=children or os.cpu_count() or 1)
        shelf = Shelf(settings.state_path / "spaces", secret, refused)
        made = await kept_space(shelf, bundle, opener, anew=anew)
    return made, monotonic() - begun


def _secret(file: Path) -> bytes:
    """What spaces are sealed under here; where nothing can be written, one that nobody will ever have again."""
    from secrets import token_bytes

    from pdp.parts import shared_key

    try:
        return shared_key(file)
    except OSError:
        return token_bytes(32)


async def _prove(
    settings: Settings, bundle: Bundle, opened: Opened, asked: Sequence[Any]
) -> tuple[DecisionSpace, list[Proof], dict[str, bool], float]:
    from time import monotonic

    from pdp.space.invariants import prove as hold

    begun = monotonic()
    made, _ = await opened(settings, bundle)
    proofs = [hold(made, one) for one in asked]
    confirmed = await _confirm(settings, bundle, made, proofs)
    return made, proofs, confirmed, monotonic() - begun


async def _confirm(settings: Settings, bundle: Bundle, made: DecisionSpace, proofs: Sequence[Proof]) -> dict[str, bool]:
    """Whether the policy itself permits each counterexample, asked of the configured engine."""
    from pdp.gates.proofs import confirmed
    from pdp.parts import open_engine

    if all(proof.holds for proof in proofs):
        return {}
    engine = open_engine(settings, children=1)
    try:
        await engine.activate(bundle)
        return await confirmed(engine, made, proofs)
    finally:
        await engine.close()


# What is told.


def _outcome(terminal: Terminal, name: str) -> str:
    from pdp.model.decision import Outcome
    from pdp.model.words import OUTCOMES

    return terminal.text(OUTCOMES[Outcome(name)])


def _head(made: DecisionSpace, seconds: float) -> dict[str, Any]:
    return {
        "revision": made.bundle.revision,
        "digest": made.bundle.digest,
        "vectors": str(made.count(made.diagram.true)),  # beyond what JSON's readers count exactly
        "nodes": sum(1 for _ in made.diagram.below(made.verdict)),
        "parts": made.built.parts,
        "questions": made.built.questions,
        "seconds": round(seconds, 1),
    }


def _show_head(terminal: Terminal, made: DecisionSpace, seconds: float) -> None:
    head = _head(made, seconds)
    vectors, questions = int(head["vectors"]), made.built.questions
    terminal.say(
        terminal.pick(
            f"{head['revision']}: 事実 {len(made.facts)} 個、組合せ {vectors:,} 通り、"
            f"規則の部分 {head['parts']} 個への問い {questions:,} 件、{seconds:.1f} 秒",
            f"{head['revision']}: {len(made.facts)} facts, {vectors:,} vectors, "
            f"{questions:,} questions to {head['parts']} parts of rules, {seconds:.1f} s",
        )
    )


def _show_proof(terminal: Terminal, made: DecisionSpace, proof: Proof, confirmed: Mapping[str, bool]) -> None:
    from pdp.gates.proofs import counterexample_words, stronger_of

    title = terminal.text(proof.invariant.title)
    if proof.holds:
        terminal.say(
            terminal.pick(f"証明済み  {title}", f"proven    {title}") + f"  [{proof.invariant.id}]", style="green"
        )
        return
    terminal.say(
        terminal.pick(f"反例あり  {title}", f"violated  {title}") + f"  [{proof.invariant.id}]", style="bold red"
    )
    count = proof.violations
    if proof.counterexample is None:
        terminal.say(
            terminal.pick("  当てはまる組合せがなく、証明にならない", "  it speaks of no vector: nothing is proven")
        )
        return
    terminal.say(
        terminal.pick(f"  反する組合せ {count:,} 通り。例:", f"  {count:,} vectors are against it. One of them:")
    )
    for one in counterexample_words(made, proof):
        terminal.say(f"    {terminal.text(one.fact)}: {terminal.text(one.value)}")
    for line in vector_lines(terminal, made, stronger_of(proof)):
        terminal.say(terminal.pick(f"    拒否される値: {line}", f"    refused with {line}"))
    if not confirmed.get(proof.invariant.id, False):
        terminal.say(
            terminal.pick(
                "  ポリシー自身はこれを許可しない: 判定空間の誤り", "  the policy itself refuses it: the space is wrong"
            ),
            style="bold red",
        )


def vector_lines(terminal: Terminal, made: DecisionSpace, vector: Vector) -> list[str]:
    """A vector for people: only the facts that it needs, in the order of judgement."""
    from pdp.gates.proofs import vector_words

    return [f"{terminal.text(one.fact)}: {terminal.text(one.value)}" for one in vector_words(made, vector)]
