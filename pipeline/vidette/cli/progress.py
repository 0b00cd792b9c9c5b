"""What a person sees while it runs: a bar on a terminal, one line a second elsewhere."""

import os
import sys
import time
from typing import Any

from vidette.engine import Engine


class Progress:
    """Call `tick` often; it draws at most ten times (terminal) or once (elsewhere) a second."""

    def __init__(self, engine: Engine, quiet: bool) -> None:
        self._engine = engine
        self._quiet = quiet
        self._terminal = sys.stderr.isatty()
        self._bar: Any = None
        self._begun = self._last = time.monotonic()
        self._seen = 0

    def tick(self) -> None:
        """Draw what has changed."""
        if self._quiet:
            return
        now = time.monotonic()
        if now - self._last < (0.1 if self._terminal else 1.0):
            return
        done = sum(stream.ledger.ended_frames for stream in self._engine.streams)
        total = self._expected()
        if self._terminal:
            self._draw(done, total)
        else:
            fps = (done - self._seen) / (now - self._last)
            mean = done / (now - self._begun)
            eta = f", ETA {(total - done) / mean:.0f} s" if total and mean and total > done else ""
            share = f" of {total} ({done / total:.0%})" if total else ""
            print(f"vidette: {done}{share} frames, {fps:.1f} fps{eta}{self._lost()}", file=sys.stderr, flush=True)
        self._last, self._seen = now, done

    def close(self) -> None:
        """Leave the terminal tidy."""
        if self._bar is not None:
            self._draw(sum(stream.ledger.ended_frames for stream in self._engine.streams), self._expected())
            self._bar.close()

    def _draw(self, done: int, total: int | None) -> None:
        if self._bar is None:
            from tqdm import tqdm

            # A terminal that does not know its size says 0, and a bar of that size is not seen.
            size = {} if os.get_terminal_size(sys.stderr.fileno()).columns else {"ncols": 80, "nrows": 24}
            self._bar = tqdm(
                total=total,
                initial=done,
                unit=" frames",
                smoothing=0.1,
                dynamic_ncols=not size,
                file=sys.stderr,
                **size,
            )
        self._bar.total = total
        self._bar.n = done
        self._bar.set_postfix_str(self._lost().lstrip(", "), refresh=False)
        self._bar.refresh()

    def _expected(self) -> int | None:
        expected = [stream.ledger.expected for stream in self._engine.streams]
        return sum(e for e in expected if e) if expected and all(expected) else None

    def _lost(self) -> str:
        ledgers = [stream.ledger for stream in self._engine.streams]
        dropped = sum(ledger.dropped.total() for ledger in ledgers)
        failed = sum(ledger.failed.total() + ledger.unreadable.total() for ledger in ledgers)
        return (f", {dropped} dropped" if dropped else "") + (f", {failed} failed" if failed else "")
