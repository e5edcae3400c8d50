"""A sign of life while a library reads or writes a big file and cannot say how far it is."""

import threading
from contextlib import contextmanager

from tqdm import tqdm


@contextmanager
def waiting(text, *, progress=True, delay=2.0):
    """Show ``text`` and the time gone by on stderr once the block takes longer than ``delay`` s.

    Examples
    --------
    >>> with waiting("reading a.mat"):
    ...     sum(range(10))
    45
    """
    done = threading.Event()

    def show():
        if done.wait(delay):
            return
        with tqdm(desc=text, bar_format="{desc}: {elapsed}", leave=False) as bar:
            bar.start_t -= delay  # the clock runs from the start of the block
            while not done.wait(0.5):
                bar.refresh()

    # A daemon: an interruption of the block must not wait for the clock.
    clock = threading.Thread(target=show, daemon=True)
    if progress:
        clock.start()
    try:
        yield
    finally:
        done.set()
        if progress:
            clock.join()
