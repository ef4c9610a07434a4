"""However many sources there are: a merged report is never better or fresher than somebody's own word."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from pdp.directory.posture import CONFLICT_WINDOW, FACTS, knows, merged, worse
from pdp.model.directory import PostureReport

NOW = datetime(2023, 8, 1, 1, 0, tzinfo=UTC)
KNOWN = st.sampled_from([True, False, "unknown"])
TIMES = st.one_of(
    st.none(),
    st.sampled_from([0, 1, 23, 24, 25, 48, 49, 72]).map(lambda hours: NOW - timedelta(hours=hours)),
    st.integers(0, 90 * 3600).map(lambda seconds: NOW - timedelta(seconds=seconds)),
)


def reports(source: str) -> st.SearchStrategy[PostureReport]:
    return st.builds(
        PostureReport,
        certificate=KNOWN,
        disk_encrypted=KNOWN,
        edr_running=st.sampled_from([True, False, "unknown", "not_managed"]),
        edr_risk=st.sampled_from(["none", "low", "medium", "high", "unknown"]),
        av_current=KNOWN,
        firewall=KNOWN,
        screen_lock=KNOWN,
        tampered=KNOWN,
        patch_age_days=st.one_of(st.none(), st.integers(0, 60)),
        observed_at=TIMES,
        source=st.just(source),
    )


SOURCES = st.integers(1, 4).flatmap(lambda n: st.tuples(*(reports(f"s-{number}") for number in range(n))))


def no_better(fact: str, value: object, than: object) -> bool:
    return value in ("unknown", than) or worse(fact, value, than) == value  # type: ignore[arg-type]


@given(SOURCES)
def test_every_fact_is_some_sources_own_no_better_and_no_fresher(said: tuple[PostureReport, ...]) -> None:
    together = merged(said)
    for fact in FACTS:
        if not knows(together, fact):
            continue
        value = getattr(together, fact)
        vouching = [
            report
            for report in said
            if knows(report, fact)
            and no_better(fact, value, getattr(report, fact))
            and (together.observed_at is None or (report.observed_at or NOW) >= together.observed_at)
            and (together.observed_at is None or report.observed_at is not None)
        ]
        assert vouching, fact


@given(SOURCES)
def test_no_fact_is_better_than_the_newest_source_that_knows_it_says_nor_than_any_within_the_window(
    said: tuple[PostureReport, ...],
) -> None:
    together = merged(said)
    for fact in FACTS:
        knowing = [report for report in said if knows(report, fact)]
        dated = [report.observed_at for report in knowing if report.observed_at is not None]
        newest = max(dated, default=None)
        for report in knowing:
            counts = newest is None or (
                report.observed_at is not None and newest - report.observed_at <= CONFLICT_WINDOW
            )
            if counts:
                assert no_better(fact, getattr(together, fact), getattr(report, fact)), fact


@given(SOURCES, reports("one-more"))
def test_one_more_source_freshens_no_fact_that_it_does_not_itself_know(
    said: tuple[PostureReport, ...], more: PostureReport
) -> None:
    before, after = merged(said), merged([*said, more])
    lends = [fact for fact in FACTS if knows(before, fact) and not knows(more, fact)]
    if lends and before.observed_at is not None and len(said) > 1:
        # Something in the report is still only as old as it was, unless the newcomer knows every older fact itself.
        ages = {fact: max(r.observed_at for r in said if knows(r, fact) and r.observed_at) for fact in lends}
        assert after.observed_at is None or after.observed_at <= min(ages.values())


@given(SOURCES)
def test_the_order_of_the_sources_does_not_matter(said: tuple[PostureReport, ...]) -> None:
    assert merged(said) == merged(tuple(reversed(said)))


@given(SOURCES, st.data())
def test_losing_a_source_makes_no_fact_better_than_a_remaining_source_says(
    said: tuple[PostureReport, ...], data: st.DataObject
) -> None:
    lost = data.draw(st.integers(0, len(said) - 1))
    rest = [report for number, report in enumerate(said) if number != lost]
    if not rest:
        return
    after = merged(rest)
    for fact in FACTS:
        if knows(after, fact):
            assert any(knows(r, fact) and no_better(fact, getattr(after, fact), getattr(r, fact)) for r in rest), fact
