"""The directory: in numbers, people, devices with their state, its age and where it comes from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, get_args

from pdp.console.decisions import READERS
from pdp.console.pages import Page
from pdp.console.words import N_
from pdp.model.input import DeviceClass, DeviceState

if TYPE_CHECKING:
    from starlette.responses import Response

    from pdp.console.visit import Visit


async def summary(visit: Visit) -> Response:
    answer = await visit.ask("/admin/v1/directory")
    return visit.page("directory.html", status=200 if answer.ok else answer.status, answer=answer)


async def users(visit: Visit) -> Response:
    given = {name: visit.one(name) for name in ("q", "department")}
    answer = await visit.ask("/admin/v1/directory/users", **given, after=visit.one("after"))
    return visit.page("users.html", status=200 if answer.ok else answer.status, answer=answer, given=given)


async def user(visit: Visit) -> Response:
    answer = await visit.ask(f"/admin/v1/directory/users/{visit.path['id']}")
    if not answer.ok:
        return visit.page("problem.html", status=answer.status, answer=answer)
    return visit.page("user.html", user=answer.data)


async def devices(visit: Visit) -> Response:
    given = {name: visit.one(name) for name in ("q", "class", "state")}
    answer = await visit.ask("/admin/v1/directory/devices", **given, after=visit.one("after"))
    return visit.page(
        "devices.html",
        status=200 if answer.ok else answer.status,
        answer=answer,
        given=given,
        classes=[word for word in get_args(DeviceClass) if word != "unknown"],
        states=get_args(DeviceState),
    )


async def device(visit: Visit) -> Response:
    answer = await visit.ask(f"/admin/v1/directory/devices/{visit.path['id']}")
    if not answer.ok:
        return visit.page("problem.html", status=answer.status, answer=answer)
    return visit.page("device.html", device=answer.data, facts=list(answer.data["facts"]))


PAGES: Final = (
    Page("directory", summary, READERS, N_("Directory"), "register"),
    Page("directory/users", users, READERS, N_("Users"), "register"),
    Page("directory/users/{id:path}", user, READERS),
    Page("directory/devices", devices, READERS, N_("Devices"), "register"),
    Page("directory/devices/{id:path}", device, READERS),
)
