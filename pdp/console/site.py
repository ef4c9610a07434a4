"""Every page, in the order of the navigation. A module that brings pages is named here, once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pdp.console import (
    approvals,
    decision_page,
    decisions,
    directory_pages,
    exceptions_page,
    exports_page,
    foresight,
    gateways,
    health_page,
    overview,
    policies,
    policy_edit,
    policy_new,
    policy_request,
    policy_steps,
    policy_tests,
    reports,
    session_page,
    trail_page,
)

if TYPE_CHECKING:
    from pdp.console.pages import Page

PAGES: Final[tuple[Page, ...]] = (
    *overview.PAGES,
    *policy_new.PAGES,  # `policies/new` is no number
    *policies.PAGES,
    *policy_edit.PAGES,
    *policy_tests.PAGES,
    *policy_request.PAGES,
    *foresight.PAGES,
    *policy_steps.PAGES,
    *approvals.PAGES,
    *exceptions_page.PAGES,
    *decisions.PAGES,
    *decision_page.PAGES,
    *reports.PAGES,
    *trail_page.PAGES,
    *directory_pages.PAGES,
    *gateways.PAGES,
    *exports_page.PAGES,
    *health_page.PAGES,
    *session_page.PAGES,
)
