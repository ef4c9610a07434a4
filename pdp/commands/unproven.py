"""What `pdp audit verify` and `pdp doctor` say of records that nobody signs for, in both languages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pdp.model.decision import Text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pdp.commands.absent_proof import Unproven
    from pdp.commands.terminal import Terminal

_TAKEN: Final = Text(
    "署名済みヘッド（proof/）がない。以前はあったことを示す事実: {facts}",
    "there are no signed heads (proof/), and there were some: {facts}",
)
_ANEW: Final = Text(
    "署名済みヘッド（proof/）は最初からのものではない: {facts}",
    "the signed heads (proof/) are not those from the beginning: {facts}",
)
_NEXT: Final = Text(
    "対処: サービスを起動せず、ディレクトリを証拠として写しを取り、バックアップの proof/ を戻して再検証する。"
    "外部のヘッドがあれば `--anchor` で照合する",
    "next: do not start the service; copy the directory as evidence, put back proof/ from a backup and verify again,"
    " with `--anchor` where heads are kept elsewhere",
)
_BEGUN: Final = Text(
    "署名プロセスが起動したが、まだ署名していない（起動後数秒で止まったサービス）。記録同士の連鎖だけを確認した。"
    "対処: サービスを起動して再検証する",
    "a notary had begun and had not signed yet, as of a service that only ran for seconds. Only the chain was checked;"
    " next: start the service and verify again",
)
_OFF: Final = Text(
    "このログには署名しない設定（log_proof = off）であり、署名があった形跡もない。"
    "記録同士の連鎖だけを確認した。署名が一度もなかったことの証明にはならない",
    "nobody is to sign for this log (log_proof = off), and nothing shows that somebody did. Only the chain was checked;"
    " nothing proves that there never was a signed head",
)
_NOTHING: Final = Text(
    "署名済みヘッドがなく、あったことを示す事実もない。記録同士の連鎖だけを確認した。"
    "署名が一度もなかったことの証明にはならない（外部のヘッドがあれば `--anchor` で照合する）",
    "there are no signed heads, and nothing shows that there were any. Only the chain was checked; nothing proves that"
    " there were none (where heads are kept elsewhere, hold them against it: `--anchor`)",
)


_UNANCHORED: Final = Text(
    "外部に保管されたヘッドとの照合はしていない。署名鍵を持つ者がログ全体を作り直しても、これだけでは分からない"
    "（`log_anchors` で保管先を設定し、`--anchor` で照合する）",
    "no head that is kept elsewhere was held against this: nothing here shows whether somebody who has the signing key"
    " wrote the whole log anew (name a place in `log_anchors`, and give its heads as `--anchor`)",
)


def tell_unproven(terminal: Terminal, unproven: Sequence[Unproven], *, signing: bool) -> None:
    """`signing`: the settings say that somebody is to sign."""
    for one in unproven:
        terminal.say(
            f"{one.finding.segment}: {terminal.text(text_of(one, signing=signing))}",
            style="bold red" if one.traces else "yellow",
        )
    if any(one.traces for one in unproven):
        terminal.say(terminal.text(_NEXT), style="bold red")


def tell_unanchored(terminal: Terminal) -> None:
    """The heads hold together, and nobody else knows one of them."""
    terminal.say(terminal.text(_UNANCHORED), style="yellow")


def text_of(one: Unproven, *, signing: bool) -> Text:
    from pdp.commands.absent_proof import TRACES

    if not one.traces:
        return _BEGUN if one.begun and signing else _NOTHING if signing else _OFF
    facts = [TRACES[trace] for trace in one.traces]
    told = _ANEW if "late" in one.traces else _TAKEN
    return Text(
        told.ja.format(facts="、".join(fact.ja for fact in facts)),
        told.en.format(facts="; ".join(fact.en for fact in facts)),
    )
