"""What `pdp export` says: figures, rules that cannot be said, what stays denied, and why nothing was written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pdp.commands.terminal import Terminal
    from pdp.export.checking import Certificate, Report
    from pdp.export.exporting import Finished, UnsoundExportError
    from pdp.export.port import LeftOut
    from pdp.model.rules import RuleModel

_SHOWN: Final = 10  # gaps and counterexamples on a terminal; gaps.json has them all


def totals_of(certificate: Certificate, report: Report) -> dict[str, Any]:
    """The figures of an export, for scripts. Vectors are texts: they are beyond what JSON's readers count."""
    return {
        "target": certificate.target,
        "policy": certificate.policy_revision,
        "digest": certificate.policy_digest,
        "at": certificate.at,
        "rules": certificate.rules - certificate.left_out,
        "left_out": certificate.left_out,
        "vectors": str(sum(int(one.vectors) for one in report.counts)),
        "permitted": str(sum(int(one.permitted) for one in report.counts)),
        "exported": str(sum(int(one.exported) for one in report.counts)),
        "unsound": certificate.unsound,
        "gap": certificate.gap,
    }


def show_export(
    terminal: Terminal, name: str, model: RuleModel, finished: Finished, seconds: float, *, signed_by: str | None
) -> None:
    """What was written, what could not be said, and what stays denied."""
    totals = totals_of(finished.certificate, finished.report)
    if terminal.as_json:
        terminal.json({"ok": True, **totals, "signed_by": signed_by, "files": sorted(finished.files)})
        return
    vectors, exported, gap = (int(totals[key]) for key in ("vectors", "exported", "gap"))
    terminal.say(
        terminal.pick(
            f"{name}: 規則 {totals['rules']} 本（システム {len(model.resources)}）、"
            f"書き出せない規則 {totals['left_out']} 本、判定空間 {seconds:.1f} 秒",
            f"{name}: {totals['rules']} rules for {len(model.resources)} systems, {totals['left_out']} cannot be said, "
            f"decision space in {seconds:.1f} s",
        )
    )
    terminal.say(
        terminal.pick(
            f"組合せ {vectors:,} 通り: 許可 {exported:,}、ポリシーより広いもの 0、拒否のまま {gap:,}",
            f"{vectors:,} vectors: {exported:,} let through, 0 wider than the policy, {gap:,} stay denied",
        ),
        style="bold green",
    )
    _show_left_out(terminal, finished.exported.left_out)
    _show_gaps(terminal, finished.report)
    for remark in finished.exported.remarks:
        terminal.say(terminal.pick(remark.ja, remark.en))
    if signed_by is None:
        terminal.say(
            terminal.pick(
                "証明書に署名はない（bundle_signing_key_file を設定すると署名する）",
                "the certificate is not signed (set `bundle_signing_key_file`, and it will be)",
            ),
            style="yellow",
        )


def show_verified(
    terminal: Terminal, certificate: Certificate, report: Report, files: Mapping[str, bytes], signed_by: str | None
) -> None:
    """That an export is what its certificate says, and who stands behind the certificate."""
    from pdp.export.exporting import SIGNATURES

    signature = "verified" if signed_by else "not checked" if SIGNATURES in files else "none"
    if terminal.as_json:
        told = {"signature": signature, "signed_by": signed_by, "mapping_sha256": certificate.mapping_sha256}
        terminal.json({"ok": True, **totals_of(certificate, report), **told})
        return
    name, gap = certificate.target, int(certificate.gap)
    terminal.say(
        terminal.pick(
            f"{name}: 証明書のとおり。ポリシーより広い組合せ 0、拒否のまま残る組合せ {gap:,}",
            f"{name}: as certified. 0 vectors wider than the policy, {gap:,} stay denied",
        ),
        style="bold green",
    )
    words = {
        "verified": (f"署名を確認した（鍵 {signed_by}）", f"signed by the key {signed_by}"),
        "not checked": (
            "署名は確認していない: --key か bundle_keys に公開鍵を与える",
            "the signature was not checked: give a public key (`--key`, or `bundle_keys`)",
        ),
        "none": (
            "証明書に署名がない: 誰かが証明書ごと書き換えても分からない",
            "the certificate is not signed: somebody may have rewritten it together with the files",
        ),
    }
    terminal.say(terminal.pick(*words[signature]), style="green" if signed_by else "yellow")


def _show_left_out(terminal: Terminal, left_out: tuple[LeftOut, ...]) -> None:
    if not left_out:
        return
    by_reason: dict[tuple[str, str, str], int] = {}
    for one in left_out:
        key = (one.what, terminal.pick(one.why.ja, one.why.en), terminal.pick(one.instead.ja, one.instead.en))
        by_reason[key] = by_reason.get(key, 0) + 1
    terminal.table(
        [
            terminal.pick("表せないもの", "cannot be said"),
            terminal.pick("規則", "rules"),
            terminal.pick("理由", "why"),
            terminal.pick("どうするか", "what to do"),
        ],
        [[what, str(count), why, instead] for (what, why, instead), count in sorted(by_reason.items())],
    )


def _show_gaps(terminal: Terminal, report: Report) -> None:
    gaps = sorted(report.gaps, key=lambda gap: (-int(gap.vectors), gap.resource))
    if not gaps:
        return
    terminal.table(
        [
            terminal.pick("拒否のまま", "stays denied"),
            terminal.pick("組合せ", "vectors"),
            terminal.pick("利用者", "users"),
            terminal.pick("端末", "devices"),
            terminal.pick("条件", "conditions"),
        ],
        [
            [
                gap.resource,
                f"{int(gap.vectors):,}",
                "-" if gap.users is None else f"{gap.users:,}",
                "-" if gap.devices is None else f"{gap.devices:,}",
                terminal.pick(gap.words.ja, gap.words.en),
            ]
            for gap in gaps[:_SHOWN]
        ],
    )
    if len(gaps) > _SHOWN:
        rest = len(gaps) - _SHOWN
        terminal.say(terminal.pick(f"ほか {rest} 件は gaps.json", f"{rest} more in gaps.json"))


def show_unsound(terminal: Terminal, name: str, fault: UnsoundExportError) -> None:
    """Why nothing was written: a counterexample for each system."""
    report = fault.report
    total = sum(int(one.unsound) for one in report.counts)
    if terminal.as_json:
        terminal.json(
            {
                "ok": False,
                "target": name,
                "unsound": str(total),
                "counterexamples": [
                    {
                        "resource": one.resource,
                        "facts": one.facts,
                        "policy": one.policy,
                        "codes": list(one.codes),
                        "controls": one.controls,
                    }
                    for one in report.counterexamples
                ],
            }
        )
        return
    terminal.say(
        terminal.pick(
            f"{name}: ポリシーが拒否する {total:,} 通りを許可してしまう。何も書き出さない",
            f"{name}: {total:,} vectors that the policy denies would be let through. Nothing is written",
        ),
        style="bold red",
    )
    for one in report.counterexamples[:_SHOWN]:
        terminal.say(f"  {one.resource} [{', '.join(one.codes)}]: {terminal.pick(one.words.ja, one.words.en)}")
        for control, value in sorted(one.controls.items()):
            terminal.say(
                "    " + terminal.pick(f"制限 {control} {value} が行われない", f"nobody carries out {control} {value}")
            )
