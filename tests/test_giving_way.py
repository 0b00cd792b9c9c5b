"""Loading gives way only where it holds no lock, and whatever inherited that is raised in the end."""

import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from vidette import giving_way as module
from vidette.giving_way import giving_way, unlocked

pytestmark = pytest.mark.skipif(not module.may_raise(), reason="this system does not let a thread be raised again")


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    """A thread of its own: what is tested must not stay with the one that runs all tests."""
    with ThreadPoolExecutor(1) as pool:
        yield pool


def policy(thread: int = 0) -> int:
    return os.sched_getscheduler(thread or threading.get_native_id())


def test_only_the_unlocked_part_is_lowered(pool: ThreadPoolExecutor) -> None:
    def work() -> list[int]:
        seen = [policy()]
        with giving_way():
            seen.append(policy())
            with unlocked():
                seen.append(policy())
            seen.append(policy())
        with unlocked():  # nobody gives way here
            seen.append(policy())
        return seen

    usual = os.SCHED_OTHER
    assert pool.submit(work).result() == [usual, usual, os.SCHED_IDLE, usual, usual]


def test_an_error_raises_too(pool: ThreadPoolExecutor) -> None:
    def work() -> int:
        with pytest.raises(ValueError, match="broken"), giving_way(), unlocked():
            raise ValueError("broken")
        return policy()

    assert pool.submit(work).result() == os.SCHED_OTHER


def test_threads_started_meanwhile_are_lowered_until_the_end(pool: ThreadPoolExecutor) -> None:
    over = threading.Event()
    inheriting = threading.Thread(target=over.wait)

    def work() -> list[int]:
        with giving_way():
            with unlocked():
                inheriting.start()
            assert inheriting.native_id is not None
            seen = [policy(inheriting.native_id)]
        return [*seen, policy(inheriting.native_id)]

    try:
        assert pool.submit(work).result() == [os.SCHED_IDLE, os.SCHED_OTHER]
    finally:
        over.set()
        inheriting.join()


def test_who_raises_it_in_the_end_is_not_lowered(pool: ThreadPoolExecutor) -> None:
    """It needs the interpreter's lock, and would keep it while it waits for a core."""

    def work() -> list[int]:
        with giving_way(), unlocked():
            timers = [each for each in threading.enumerate() if each.name == "vidette:giving-way"]
            return [policy(each.native_id or 0) for each in timers]

    assert pool.submit(work).result() == [os.SCHED_OTHER]


def test_it_gives_way_for_a_while_only(pool: ThreadPoolExecutor) -> None:
    """Else nothing would ever be loaded on a machine that is never idle."""

    def work() -> list[int]:
        with giving_way(lowered=0.1):
            with unlocked():
                first = policy()
                deadline = time.monotonic() + 10
                while policy() == os.SCHED_IDLE and time.monotonic() < deadline:
                    time.sleep(0.01)
                seen = [first, policy()]
            with unlocked():
                return [*seen, policy()]

    assert pool.submit(work).result() == [os.SCHED_IDLE, os.SCHED_OTHER, os.SCHED_OTHER]


def test_only_the_time_in_which_it_is_lowered_counts(pool: ThreadPoolExecutor) -> None:
    """Loading may begin with long waiting for another process."""

    def work() -> list[int]:
        with giving_way(lowered=0.2):
            time.sleep(0.3)
            seen = []
            for _ in range(2):
                with unlocked():
                    seen.append(policy())
                    deadline = time.monotonic() + 10
                    while policy() == os.SCHED_IDLE and time.monotonic() < deadline:
                        time.sleep(0.01)
            return seen

    assert pool.submit(work).result() == [os.SCHED_IDLE, os.SCHED_OTHER]


def test_where_a_thread_cannot_be_raised_again_nothing_is_lowered(
    pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "may_raise", lambda: False)

    def work() -> int:
        with giving_way(), unlocked():
            return policy()

    assert pool.submit(work).result() == os.SCHED_OTHER


def test_no_thread_is_left_behind(pool: ThreadPoolExecutor) -> None:
    def work() -> None:
        with giving_way():
            pass

    pool.submit(work).result()
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("vidette:giving-way")]
