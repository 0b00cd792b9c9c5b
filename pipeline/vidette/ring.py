"""The queue between one decoder and the callers of a model: a fixed number of slots and one named policy."""

from collections import deque
from typing import Generic, Literal, TypeVar

T = TypeVar("T")

Policy = Literal["lossless", "newest"]
"""What happens when the ring is full. `lossless`: the producer waits (files: every frame, in order). `newest`: the
oldest waiting frame makes room and is counted (live: what is shown is now)."""


class Ring(Generic[T]):
    """A bounded FIFO without locks of its own: whoever shares it between threads guards it (lane.py).

    A lossless ring must not be put to when `full`; a newest ring takes always and hands back what it displaced.
    """

    __slots__ = ("_items", "capacity", "policy")

    def __init__(self, capacity: int, policy: Policy) -> None:
        if capacity < 1:
            raise ValueError(f"a ring needs at least one slot, got {capacity}")
        self.capacity = capacity
        self.policy = policy
        self._items: deque[T] = deque()

    def __len__(self) -> int:
        return len(self._items)

    @property
    def full(self) -> bool:
        """Whether a lossless producer has to wait."""
        return len(self._items) >= self.capacity

    def put(self, item: T) -> T | None:
        """Add the newest item; returns the displaced oldest one, if any."""
        displaced = None
        if len(self._items) >= self.capacity:
            if self.policy == "lossless":
                raise ValueError("put into a full lossless ring: the producer has to wait")
            displaced = self._items.popleft()
        self._items.append(item)
        return displaced

    def peek(self) -> T:
        """The oldest waiting item, left in place. Raises IndexError when empty."""
        return self._items[0]

    def take(self) -> T:
        """Remove the oldest waiting item. Raises IndexError when empty."""
        return self._items.popleft()

    def clear(self) -> list[T]:
        """Remove all that waits."""
        items = list(self._items)
        self._items.clear()
        return items
