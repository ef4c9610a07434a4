"""A proof of an invariant, or its counterexample, as data and in words: for the gate and for `pdp bundle prove`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from pdp.engine.verdict import read_verdict
from pdp.errors import EngineError
from pdp.explain.fact_words import fact_words, value_words
from pdp.model.decision import Text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pdp.engine.port import Engine
    from pdp.space.diagram import Vector
    from pdp.space.invariants import Proof
    from pdp.space.space import DecisionSpace


class Words(NamedTuple):
    """One fact and its value, for people."""

    fact: Text
    value: Text


async def confirmed(engine: Engine, space: DecisionSpace, proofs: Sequence[Proof]) -> dict[str, bool]:
    """Of each violated invariant, whether the policy itself permits the counterexample. It does, or the space is wrong.

    `engine` has the bundle of the space active.
    """
    failed = [proof for proof in proofs if proof.counterexample is not None]
    documents = [msgspec.json.encode(_document(space, proof)) for proof in failed]
    answers = await engine.evaluate(documents) if documents else []
    return {
        proof.invariant.id: not isinstance(answer, EngineError) and read_verdict(answer, "zta").permits
        for proof, answer in zip(failed, answers, strict=True)
    }


def vector_words(space: DecisionSpace, vector: Vector) -> list[Words]:
    """Only the facts that the vector needs, in the order of judgement."""
    return [Words(fact_words(name), value_words(name, value)) for name, value in space.named(vector).items()]


def counterexample_words(space: DecisionSpace, proof: Proof) -> list[Words]:
    """Its facts, and then those of the invariant that the policy does not look at."""
    beside = [Words(fact_words(name), value_words(name, value)) for name, value in proof.beside.items()]
    return [*vector_words(space, proof.counterexample or {}), *beside]


def _document(space: DecisionSpace, proof: Proof) -> dict[str, Any]:
    return space.document(proof.counterexample or {}, proof.beside)


def stronger_of(proof: Proof) -> Vector:
    """What is refused where the counterexample is permitted; nothing where the invariant speaks of one vector."""
    held = proof.counterexample or {}
    return {level: number for level, number in (proof.stronger or {}).items() if held.get(level) != number}


def proof_told(space: DecisionSpace, proof: Proof, sure: Mapping[str, bool]) -> dict[str, Any]:
    """A proof as JSON. Counts are texts: they are beyond what JSON's readers count exactly."""
    told: dict[str, Any] = {
        "id": proof.invariant.id,
        "title": {"ja": proof.invariant.title.ja, "en": proof.invariant.title.en},
        "proven": proof.holds,
        "vectors": str(proof.vectors),
        "violations": str(proof.violations),
    }
    if proof.counterexample is not None:
        told["counterexample"] = {**space.named(proof.counterexample), **proof.beside}
        told["document"] = _document(space, proof)
        told["confirmed"] = sure.get(proof.invariant.id, False)
    if proof.stronger is not None:
        told["refused_with"] = space.named(proof.stronger)
    return told


def violation_words(space: DecisionSpace, proof: Proof) -> Text:
    """What is wrong, with the counterexample, in one sentence of each language."""
    if proof.counterexample is None:
        return Text(
            f"{proof.invariant.title.ja}（当てはまる組合せが一つもなく、証明にならない）",
            f"{proof.invariant.title.en} (it speaks of no vector at all, which proves nothing)",
        )
    held, better = counterexample_words(space, proof), vector_words(space, stronger_of(proof))
    ja = "、".join(f"{one.fact.ja}＝{one.value.ja}" for one in held) or "どの事実でも"
    en = ", ".join(f"{one.fact.en} = {one.value.en}" for one in held) or "whatever the facts"
    title = proof.invariant.title
    if better:
        ja += "。拒否されるのは " + "、".join(f"{one.fact.ja}＝{one.value.ja}" for one in better)
        en += "; refused with " + ", ".join(f"{one.fact.en} = {one.value.en}" for one in better)
    return Text(
        f"{title.ja}（破れている組合せ {proof.violations:,} 通り）。反例: {ja}",
        f"{title.en} ({proof.violations:,} vectors are against it); counterexample: {en}",
    )
