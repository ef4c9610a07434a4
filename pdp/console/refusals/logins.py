"""Logins and forms: what stands before a page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

LOGINS: Final[Mapping[str, str]] = {
    "too many passwords were tried": "パスワードの試行回数が多すぎます",
    "the form is not of this session": "このログインで開いた画面からの送信ではありません",
    "the browser does not say where the form stood": "どの画面からの送信かを、ブラウザーから確かめられません",
    "the form stood on another site": "ほかのサイトの画面からの送信です",
    "no identity provider is configured": "統合認証が設定されていません",
    "no local account is configured": "緊急用アカウントが設定されていません",
    "this login was not begun here, or too long ago": (
        "このログインは、ここで始めたものではないか、時間が経ちすぎています"
    ),
    "the answer is not the identity provider's": "統合認証からの応答ではありません",
    "the identity provider did not let this person in": "統合認証でログインが認められませんでした",
    "the identity provider did not take the code": "統合認証が認可コードを受け付けませんでした",
    "the identity provider gave no ID token": "統合認証から ID トークンが返されませんでした",
    "the ID token does not count: `{}`": "ID トークンが有効ではありません: `{0}`",
    "the ID token names nobody": "ID トークンに利用者の情報がありません",
    "the identity provider says that it is another": "統合認証の名乗りが、設定と異なります",
    "the identity provider names no `{}`": "統合認証の設定情報に `{0}` がありません",
    "the identity provider names no usable `{}`": "統合認証の設定情報の `{0}` が使えません",
    "`{}` is on a host that `console.hosts` does not name": "`{0}` のホストが `console.hosts` にありません",
    "the identity provider does not answer": "統合認証が応答しません",
    "no session of this number lives": "その番号の接続はありません",
    "a valid API key, certificate or access token is needed": "有効な API キー、証明書またはアクセストークンが必要です",
    "this caller asks more often than its limit": "要求の回数が上限を超えています",
}
