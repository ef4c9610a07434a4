"""What a command that changed the database tells the workers, so that they look at once and not at their next poll."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from pdp.commands.call import StoreCall
    from pdp.commands.terminal import Terminal
    from pdp.settings import Settings
    from pdp.signals.port import Kind
    from pdp.store.store import Store


@contextmanager
def telling(settings: Settings, terminal: Terminal) -> Iterator[Callable[[Kind, str], None]]:
    """Hand over what tells the workers of one change; to be called after its commit.

    Never raises: whether the news arrive changes neither the change nor the exit code, and is a remark on
    stderr. Nobody is told without a `redis_url`.
    """
    if not settings.redis_url:
        yield lambda _kind, _mark: None
        return
    from pdp.parts import redis_place
    from pdp.signals.announcing import announcing

    with announcing(redis_place(settings), settings.redis_prefix) as publish:

        def tell(kind: Kind, mark: str) -> None:
            fault = publish(kind, mark)
            if fault is not None:
                terminal.remark(
                    terminal.pick(
                        f"変更は済んだが、ワーカーに知らせられなかった（{fault}）。次のポーリングで反映される",
                        f"the change is made; the workers could not be told ({fault}) and see it at their next poll",
                    ),
                    style="yellow",
                )

        yield tell


@contextmanager
def changing(call: StoreCall, kind: Kind) -> Iterator[tuple[Store, datetime]]:
    """(the configured store, now). After a block that ended well, the workers are told of news of this kind."""
    from pdp.commands.composed import store_of
    from pdp.parts import utc_now

    settings = call.settings()
    with telling(settings, call.terminal) as tell, store_of(settings) as store:
        yield store, utc_now()
        tell(kind, "")
