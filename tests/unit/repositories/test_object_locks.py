from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from dr_orchestrator.repositories.object_locks import LockMode, ObjectLock, renewed

_MODES = st.sampled_from(LockMode)
_ENDS = st.datetimes(
    min_value=datetime(2026, 1, 1),  # noqa: DTZ001 - hypothesis adds the zone
    max_value=datetime(2126, 1, 1),  # noqa: DTZ001
    timezones=st.just(UTC),
)
_LOCKS = st.builds(ObjectLock, mode=_MODES, until=_ENDS)


@given(_LOCKS, _MODES, _ENDS)
def test_renewed_is_never_shorter_or_weaker_than_what_was_or_what_is_asked_for(
    lock: ObjectLock, mode: LockMode, until: datetime
) -> None:
    then = renewed(lock, mode, until)
    assert then.until == max(lock.until, until)
    assert (then.mode is LockMode.COMPLIANCE) == (LockMode.COMPLIANCE in {lock.mode, mode})


@given(_MODES, _ENDS)
def test_renewed_is_what_is_asked_for_where_there_was_no_lock(
    mode: LockMode, until: datetime
) -> None:
    assert renewed(None, mode, until) == ObjectLock(mode=mode, until=until)
