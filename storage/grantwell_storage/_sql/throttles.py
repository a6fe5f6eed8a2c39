"""Throttles: tries counted in windows."""

from __future__ import annotations

from sqlalchemy import Connection, bindparam, case, delete, select
from sqlalchemy.dialects.sqlite import insert

from grantwell.records import Digest
from grantwell.store import Attempt

from ..tables import throttles
from .decode import readable, to_count

_running = throttles.c.ends_at > bindparam("at")
_COUNT = (
    insert(throttles)
    .values(key=bindparam("id"), attempts=1, ends_at=bindparam("end"))
    .on_conflict_do_update(
        index_elements=[throttles.c.key],
        set_={
            "attempts": case((_running, throttles.c.attempts + 1), else_=1),
            "ends_at": case((_running, throttles.c.ends_at), else_=bindparam("end")),
        },
    )
    .returning(throttles.c.attempts)
)
_COUNTED = select(throttles.c.attempts).where(throttles.c.key == bindparam("id"), _running)
_CLEAR = delete(throttles).where(throttles.c.key == bindparam("id"))


def count(connection: Connection, attempt: Attempt) -> int:
    """See `ThrottleStore.count_attempt`."""
    values = {"id": attempt.key, "at": attempt.now, "end": attempt.now + attempt.window}
    return int(connection.execute(_COUNT, values).scalar_one())


def counted(connection: Connection, key: Digest, now: int) -> int:
    """See `ThrottleStore.count_attempts`."""
    return readable(to_count, connection.execute(_COUNTED, {"id": key, "at": now}).one_or_none()) or 0


def clear(connection: Connection, key: Digest) -> None:
    """See `ThrottleStore.clear_attempts`."""
    connection.execute(_CLEAR, {"id": key})
