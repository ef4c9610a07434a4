"""The list behind the whole service: a key as the password of Basic, and a loss that the directory learns of."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from pdp.callers.keys import add_caller
from pdp.directory.changes import change
from pdp.main import compose
from pdp.model.directory import Device
from pdp.parts import open_directory, utc_now
from pdp.settings import load_settings

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_a_device_that_is_reported_lost_is_on_the_list_as_soon_as_the_worker_knows(tmp_path: Path) -> None:
    settings = load_settings(environ={}, state_dir=str(tmp_path), directory_poll_s=0.05)
    store = open_directory(settings)
    device = Device("PC-1", "managed_pc")
    with change(store, utc_now()) as inside:
        inside.put_device(device)
    _, key_id, secret = add_caller(store, "prisma", ["read_cut_off"], now=utc_now()).split("_")
    async with compose(settings) as service:
        transport = httpx.ASGITransport(app=service.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://pdp", auth=(key_id, secret)) as gateway:
            before = await gateway.get("/edl/cut-off-devices")
            assert before.status_code == 200, before.text
            assert device.id not in before.text.splitlines()
            known = {"if-none-match": before.headers["etag"]}
            assert (await gateway.get("/edl/cut-off-devices", headers=known)).status_code == 304
            with change(store, utc_now()) as inside:
                inside.put_device(replace(device, state="lost"))
            async with asyncio.timeout(30):
                while (after := await gateway.get("/edl/cut-off-devices", headers=known)).status_code == 304:  # noqa: ASYNC110  # it pulls
                    await asyncio.sleep(0.02)
            assert device.id in after.text.splitlines()
        async with httpx.AsyncClient(transport=transport, base_url="http://pdp") as nobody:
            assert (await nobody.get("/edl/cut-off")).status_code == 401
    store.close()
