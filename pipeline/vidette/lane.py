"""One model's lane: the feeds of its streams, the callers that empty them, and the device between.

On a CPU as many callers as cores, each writes, runs and decodes one picture at a time. On a GPU two or three callers
share one device: while one runs, the next fills its batch with whatever arrives, and the last one decodes. Both are
the same loop; the plan says how many callers there are, how many runs may be under way (`permits`) and how large
batches get. Where runs are very short the decoding threads do the callers' work in turns (spells.py).
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from vidette.batching import Batcher, Feed
from vidette.entry import Desk, Entry, Item
from vidette.errors import DecodeError, VidetteError
from vidette.exit import Exit, Failure
from vidette.models import Model
from vidette.mosaic import merged
from vidette.pixels.slot import Buffer
from vidette.predictions.detections import Detections
from vidette.remote.trouble import without_address
from vidette.result import Result, StageTimes
from vidette.ring import Policy
from vidette.runtimes.base import Outputs, Writer
from vidette.spells import Spells

log = logging.getLogger("vidette.lane")

_SHORT_RUN_S = 0.0005
"""Runs shorter than this are left to one caller: two would hand the interpreter to and fro for longer than they run
(142 -> 89 microseconds per frame beyond scale and run, for 12 % less speed)."""

_TAKEN = 16
"""Pictures that a turn takes and runs before their outputs are decoded. Decoding that follows decoding finds its code
and data in the caches, which a run empties: 32 instead of 50 microseconds a frame, a few milliseconds later."""

_BEGINNING = 64
"""Runs until it is known how long they are."""

_BUFFERS = 8
"""Input shapes that a caller keeps memory for; a folder of photographs has dozens, each with 5 to 15 MB."""


def told(error: Exception) -> str:
    """Our own errors are sentences; of others the type says more than the text."""
    return str(error) if isinstance(error, VidetteError) else f"{type(error).__name__}: {error}"


class Workspace:
    """What a thread needs to run batches: a writer, and memory for inputs. One thread at a time uses it."""

    def __init__(self, model: Model) -> None:
        self.writer: Writer = model.writer()
        self._session = model.session
        self._buffers: dict[tuple[int, int], Buffer] = {}  # the longest unused first

    def buffer(self, shape: tuple[int, int]) -> Buffer:
        """Memory for a batch of that shape. Raises what the runtime raises when it cannot be had."""
        buffer = self._buffers.pop(shape, None)
        if buffer is None:
            if len(self._buffers) == _BUFFERS:
                del self._buffers[next(iter(self._buffers))]
            buffer = self._session.buffer(shape)
        self._buffers[shape] = buffer
        return buffer


class Ran(NamedTuple):
    """A batch and what the model returned for it; when its run began (monotonic seconds), and how long it took."""

    batch: list[Item]
    outputs: Outputs
    began: float
    run_s: float


class Lane:
    """Runs one model for all its streams. `start`, then entries are used, then `stop` and `join`."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.plan = model.session.plan
        self._wide = self.plan.wide > 0
        self.lock = threading.Lock()
        self.work = threading.Condition(self.lock)  # idle callers wait for something to do
        self.idle = 0
        self.device = threading.Condition(self.lock)  # formed batches wait for the device, or for company
        self.forming_waits = 0
        self.stopping = False
        self.batcher: Batcher[Item] = Batcher(self.plan.ladder[-1], model.request.max_delay)
        self.busy_s = 0.0
        self.batches = 0
        self.low_water = self.plan.ladder[-1] * self.plan.permits
        """So few waiting pictures mean that decoders should be at work."""
        self.spells = Spells()
        # Waiting for company in a turn would hold all the others up; CUDA's captured graphs belong to their thread.
        self._turns = not model.request.max_delay and not self.plan.device.startswith("cuda")
        self._shared: Workspace | None = None
        """Of the stream whose turn it is, which does not begin before the last one's runs have ended."""
        self._entries: list[Entry | Desk] = []
        self._tiles: deque[Item] = deque()  # of frames that were taken and did not fit into one batch
        self._active = 0  # threads that have batches in hand
        self._run_s = 1.0  # wall seconds of a run, smoothed
        self._forming = 0
        self._running = 0
        self._ran: set[tuple[int, int]] = set()  # shapes at which the model has answered
        self._threads = [
            threading.Thread(target=self._call, name=f"vidette:model:{model.id}:{number}", daemon=True)
            for number in range(self.plan.callers)
        ]

    def open(self, policy: Policy, way_out: Exit, on_abort: Callable[[str], None], streams: int) -> Entry:
        """Add a stream; `streams` will share the lane."""
        with self.lock:
            feed = self.batcher.open(2, policy)
            if policy != "lossless":
                self._hand_over()
        entry = Entry(self, feed, way_out, streams, on_abort)
        self._entries.append(entry)
        return entry

    def open_desk(self, capacity: int) -> Desk:
        """Add a way in for single pictures, of which `capacity` may wait."""
        with self.lock:
            feed = self.batcher.open(capacity, "lossless")
            self._hand_over()
        desk = Desk(self, feed, capacity)
        self._entries.append(desk)
        return desk

    @property
    def waiting(self) -> int:
        """With the lock held: pictures, and tiles of pictures, that wait for a batch."""
        return self.batcher.waiting + len(self._tiles)

    def add(self, feed: Feed[Item], item: Item) -> Item | None:
        """With the lock held: queue an item and wake who is to run it; returns the one it displaced."""
        displaced = self.batcher.put(feed, item, time.monotonic())
        if self.forming_waits:
            self.device.notify_all()
        if self.idle and self.spells.holder is None and not self.crowded:
            self.work.notify()
        return displaced

    def ask(self, entry: Entry) -> None:
        """With the lock held: a stream would run its frames itself, now or when it is its turn."""
        if not self.short:
            return
        self.spells.ask(entry, time.monotonic())
        if self.spells.holder is entry and self.idle:
            self.work.notify()  # to look after it

    def leave(self, entry: Entry) -> None:
        """With the lock held: a stream hands its frames over again; callers run what waits when no other has a turn."""
        self.spells.leave(entry, time.monotonic())
        self._wake_caller()

    def work_off(self, entry: Entry) -> bool:
        """Run what waits, in the thread of the stream whose turn it is. Whether there was something."""
        with self.lock:
            if self.spells.holder is not entry or not self.waiting:
                return False
            self._active += 1  # all the time: it is at work, not overdue
            left = self.waiting
        try:
            if self._shared is None:
                self._shared = Workspace(self.model)
            most = self.batcher.top * max(1, _TAKEN // self.batcher.top)
            while left > 0:
                with self.lock:
                    items = self._take(min(left, most), None) if self.spells.holder is entry else []
                if not items:
                    break
                left -= len(items)
                self._run_all(items, self._shared)
                if not self.short:  # callers do it side by side
                    break
        finally:
            self._rest()
        return True

    @property
    def short(self) -> bool:
        """Whether a run is shorter than handing frames over, and all who bring some can wait for their turn. Without
        the lock it is a hint."""
        return self._run_s < _SHORT_RUN_S and self._turns and not self.stopping

    @property
    def active(self) -> int:
        """Threads that have a batch in hand."""
        return self._active

    @property
    def crowded(self) -> bool:
        """With the lock held: whether a further caller would only be in the way."""
        return self._active > 0 and self._run_s < _SHORT_RUN_S

    def start(self) -> None:
        """Compile what the first picture needs, then start the callers."""
        self.model.writer().warm()
        self.model.warm()
        if self.model.request.tiles is not None:
            merged([Detections.none(self.model.labels)], self.model.limits)
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """No new frames are taken and waiting ones are left; runs under way end early if the runtime can."""
        with self.lock:
            self.stopping = True
            self.spells.end()
            self.work.notify_all()
            self.device.notify_all()
            for entry in self._entries:
                entry.wake()
        self.model.session.stop()

    def join(self, deadline: float) -> bool:
        """Wait for the callers until `deadline` (monotonic). True when all have ended: the model is closed then."""
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(max(0.0, deadline - time.monotonic()))
        ended = not any(thread.is_alive() for thread in self._threads)
        with self.lock:  # a stream may still be in its last run
            ended = ended and self.work.wait_for(lambda: not self._active, max(0.0, deadline - time.monotonic()))
        if ended:
            self._fail(list(self._tiles), "stopped", "stopped before all tiles of the frame were seen")
            self.model.session.close()
        return ended

    def _hand_over(self) -> None:
        """With the lock held: from now on somebody brings pictures who does not wait for turns."""
        self._turns = False
        self.spells.end()
        self._wake_caller()

    def _wake_caller(self) -> None:
        """With the lock held: where something waits and nobody will run it, somebody should."""
        if self.idle and self.spells.holder is None and self.waiting and not self.crowded:
            self.work.notify()

    def _call(self) -> None:
        workspace = Workspace(self.model)
        while items := self._first():
            self._work(items, workspace)

    def _work(self, items: list[Item], workspace: Workspace) -> None:
        try:
            if (buffer := self._buffer(items, workspace, forming=True)) is not None:
                self._form_and_run(items, buffer, workspace.writer)
        finally:
            self._rest()

    def _buffer(self, items: list[Item], workspace: Workspace, forming: bool) -> Buffer | None:
        """Memory for the input; None when it cannot be had, and then the items have their outcomes."""
        try:
            return workspace.buffer(items[0].shape)
        except Exception as error:  # noqa: BLE001 - a third party's runtime raises what it likes
            self._refuse(items, told(error), forming)
            return None

    def _run_all(self, items: list[Item], workspace: Workspace) -> None:
        """Run what was taken at once, in a turn: nobody else forms batches, unless turns have ended meanwhile, and no
        company is waited for."""
        if (buffer := self._buffer(items, workspace, forming=False)) is None:
            return
        top, rest = self.batcher.top, items
        done: list[Ran] = []
        while rest and not self.stopping:
            taken, rest = rest[:top], rest[top:]
            batch: list[Item] = []
            for item in taken:
                if self._write(item, buffer, len(batch), workspace.writer):
                    batch.append(item)
            if batch and (ran := self._run_when_free(batch, buffer, keep=bool(rest))):
                done.append(ran)
        for ran in done:
            self._decode(ran)
        self._fail(rest, "stopped", "stopped before the frame was seen")

    def _run_when_free(self, batch: list[Item], buffer: Buffer, keep: bool = False) -> Ran | None:
        with self.lock:
            while self._running >= self.plan.permits and not self.stopping:
                self._wait_for_device(None)
            self._running += 1
        return self._run(batch, buffer, keep=keep)

    def _rest(self) -> None:
        """One that was active no longer is: tell those who wait for that."""
        with self.lock:
            self._active -= 1
            if self.stopping:
                self.work.notify_all()
            elif self.spells.holder is not None:
                self.spells.holder.wake()
            else:
                self._wake_caller()

    def _first(self) -> list[Item]:
        """Wait for something to do and for the right to form a batch; empty when the lane stops."""
        with self.lock:
            while not self.stopping:
                # An idle caller sees to it that nobody keeps the turn who is not at work.
                look_again = self.spells.look(time.monotonic(), self._active > 0)
                if self.spells.holder is None and not self.crowded and (items := self._next_batch()):
                    return items
                self.idle += 1
                self.work.wait(look_again)
                self.idle -= 1
            return []

    def _next_batch(self) -> list[Item]:
        """With the lock held: take what is to run next, if a further batch may be formed."""
        # Whoever forms while no device is free keeps adding to one batch; a second would only split it.
        while self.waiting and self._forming < max(1, self.plan.permits - self._running):
            if items := self._take(self.batcher.top, None):
                self._forming += 1
                self._active += 1
                return items
        return []

    def _take(self, limit: int, shape: tuple[int, int] | None) -> list[Item]:
        """With the lock held."""
        taken: list[Item] = []
        if self._tiles:
            shape = shape or self._tiles[0].shape
            self._share(self._tiles, taken, limit, shape)
        for item in self.batcher.take(limit - len(taken), shape):
            item.entry.woken()
            if item.cancelled:
                continue
            if len(item.letterboxes) == 1:
                taken.append(item)
                continue
            tiles = deque(item.tiles())
            self._share(tiles, taken, limit, item.shape)
            self._tiles.extend(tiles)
        return taken

    @staticmethod
    def _share(tiles: deque[Item], taken: list[Item], limit: int, shape: tuple[int, int]) -> None:
        """Move tiles of one shape into the batch as long as there is room; the others stay, in order."""
        for _ in range(len(tiles)):
            tile = tiles.popleft()
            if tile.shape == shape and len(taken) < limit and not tile.cancelled:
                taken.append(tile)
            elif not tile.cancelled:
                tiles.append(tile)

    def _form_and_run(self, items: list[Item], buffer: Buffer, writer: Writer) -> None:
        batch: list[Item] = []
        while True:
            for item in items:
                if self._write(item, buffer, len(batch), writer):
                    batch.append(item)
            with self.lock:
                items = self._more(batch, buffer)
                if not items:
                    self._forming -= 1
                    if batch:
                        self._running += 1
                        alone = self._wide and self._running == 1 and not self.waiting
                    self._wake_caller()
                    break
        if batch and (ran := self._run(batch, buffer, alone)):
            self._decode(ran)

    def _more(self, batch: list[Item], buffer: Buffer) -> list[Item]:
        """With the lock held: more items for the batch; none when it should run now."""
        while True:
            room = len(buffer.slots) - len(batch)
            if not batch or self.stopping:
                return []
            if room and self.waiting and (more := self._take(room, batch[0].shape)):
                return more
            hold = self.batcher.hold(batch, time.monotonic())
            if self._running >= self.plan.permits:
                self._wait_for_device(None)
            elif hold > 0:
                self._wait_for_device(hold)
            else:
                return []

    def _wait_for_device(self, timeout: float | None) -> None:
        self.forming_waits += 1
        self.device.wait(timeout)
        self.forming_waits -= 1

    def _write(self, item: Item, buffer: Buffer, index: int, writer: Writer) -> bool:
        begin = time.monotonic()
        try:
            writer.write(item.frame.picture, item.letterbox, buffer, index)
            since = None if item.reply is None else item.frame.arrived
            self.model.ask(buffer, index, item.limits, since)
        except Exception as error:  # noqa: BLE001 - av, cv2 and numba raise their own kinds; one bad frame fails alone
            buffer.padded[index] = None
            name = f"frame {item.frame.seq}" if item.reply is None else "the picture"
            self._fail([item], "pixels", f"{name} could not be converted: {error}")
            return False
        item.scale_s = time.monotonic() - begin
        return True

    def _run(self, batch: list[Item], buffer: Buffer, alone: bool = False, keep: bool = False) -> Ran | None:
        """Run what was written; None when that failed, and then the batch has its outcomes. `keep` copies the outputs,
        which the buffer's next run overwrites."""
        session = self.model.session
        before = time.monotonic()
        try:
            returned = session.run(buffer, len(batch), alone=True) if alone else session.run(buffer, len(batch))
            outputs: Outputs | None = [output.copy() for output in returned] if keep else returned
        except Exception as error:  # noqa: BLE001 - as above
            outputs, failure = None, told(error)
        run_s = time.monotonic() - before
        with self.lock:
            self._running -= 1
            self.busy_s += run_s
            self.batches += 1
            if outputs is not None:
                # Waiting for the interpreter is in it: while many streams begin the shortest run tells most, and later
                # one long wait says little.
                begins = self.batches <= _BEGINNING and run_s < self._run_s
                self._run_s = run_s if begins else 0.9 * self._run_s + 0.1 * min(run_s, 2 * self._run_s)
            if self.forming_waits:
                self.device.notify_all()
            self._wake_caller()
        shape = batch[0].shape
        if outputs is not None:
            self._ran.add(shape)
            return Ran(batch, outputs, before, run_s)
        if self.stopping:
            self._fail(batch, "stopped", failure)
        elif shape not in self._ran:
            self._refuse(batch, failure, forming=False)
        elif len(batch) > 1:
            self._retry_alone(batch, buffer)
        else:
            self._fail(batch, "run", failure)
        return None

    def _retry_alone(self, batch: list[Item], buffer: Buffer) -> None:
        """One picture must not cost its neighbours: run them one by one."""
        writer = self.model.writer()
        for item in batch:
            if self._write(item, buffer, 0, writer) and (ran := self._run_when_free([item], buffer)):
                self._decode(ran)

    def _decode(self, ran: Ran) -> None:
        batch, outputs, began, run_s = ran
        model = self.model
        facts = model.run_facts(batch[0].shape)
        count = len(batch)
        for index, item in enumerate(batch):
            frame = item.frame
            begin = time.monotonic()
            try:
                found = model.decoder(model.rows(outputs, index), item.letterbox, item.limits)
            except DecodeError as error:
                self._fail([item], error.code, self._about(item, error))
                continue
            except Exception as error:  # noqa: BLE001 - a third party's family: this frame fails, alone
                self._fail([item], "postprocess", self._about(item, error))
                continue
            # Waiting for the device or for company is waiting too, also where the picture was written meanwhile.
            queue_s = began - item.queued_at - item.scale_s
            stages = StageTimes(item.decode_s, queue_s, item.scale_s, run_s / count, time.monotonic() - begin)
            if item.mosaic is not None:
                assert isinstance(found, Detections)
                whole = item.mosaic.add(item.tile, found, stages, item.limits)
                if whole is None:
                    continue
                found, stages = whole
            picture = frame.picture
            item.complete(
                Result(
                    frame.stream, frame.epoch, frame.seq, frame.pts_s, frame.time, picture.width, picture.height,
                    model.id, facts, found, count, stages, None, frame.name,
                )
            )  # fmt: skip

    def _about(self, item: Item, error: Exception) -> str:
        """Which frame, for the operator of a stream; which model, but not where it is, for a client."""
        if item.reply is None:
            return f"frame {item.frame.seq}: {told(error)}"
        at = self.model.endpoint
        return f"model {self.model.id}: {told(error) if at is None else without_address(at, told(error))}"

    def _fail(self, items: list[Item], code: str, message: str) -> None:
        for item in items:
            item.complete(Failure(code, message))

    def _refuse(self, items: list[Item], message: str, forming: bool) -> None:
        """The model cannot run at this shape at all: the streams of that shape end with this message."""
        if forming:
            with self.lock:
                self._forming -= 1
        for entry in {item.entry for item in items}:
            entry.abort(message)
        self._fail(items, "model", message)
        with self.lock:
            self._wake_caller()
