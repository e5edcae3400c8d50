"""Run one notebook in a kernel of its own, within a budget, and learn what it reached."""

import asyncio
import json
import signal
import sys
import time

from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat.v4 import new_code_cell

BUDGET_SECONDS = 180  # of kernel time a chapter may take on two cores

# What a chapter reaches is read off the kernel after its last cell: modules of the package, the
# distributions behind all other modules, and files of the project that were opened (a hook notes
# them from the first moment on).
WATCH = """
def _watch_files():
    import sys
    opened = set()
    sys.addaudithook(
        lambda event, args: opened.add(args[0])
        if event == "open" and isinstance(args[0], str) else None
    )
    return opened
_opened_files = _watch_files()
"""
REPORT = """
import importlib.metadata, json, os, sys
_owners = importlib.metadata.packages_distributions()
_tops = {name.partition(".")[0] for name in sys.modules}
print(json.dumps({
    "modules": sorted(m for m in sys.modules if m.partition(".")[0] == "hsisr_lite"),
    "distributions": {
        d: importlib.metadata.version(d)
        for d in sorted({d for top in _tops for d in _owners.get(top, [])})
    },
    "files": sorted({os.path.abspath(f) for f in _opened_files}),
}))
"""


class ChapterError(Exception):
    """One sentence: which chapter, which cell, what happened; the cell's traceback beside it."""

    def __init__(self, sentence, traceback=""):
        super().__init__(sentence)
        self.traceback = traceback


async def execute(notebook, name, *, cwd, env, budget=None, on_cell=None):
    """Execute every cell of ``notebook`` in place, in a fresh kernel.

    Parameters
    ----------
    notebook : nbformat notebook; its outputs and execution counts are replaced.
    name : str
        What messages call it.
    cwd : path
        The kernel's working folder.
    env : dict
        The kernel's environment, from :func:`kernel_environment.environment`.
    budget : float, optional
        Seconds of kernel time allowed in all; None is no limit.
    on_cell : callable, optional
        Called with (name, cells done, cells in all, seconds so far) after each cell.

    Returns
    -------
    reached : dict with "modules", "distributions" (name: version) and "files".
    seconds : float, spent in the cells.

    Raises
    ------
    ChapterError
        A cell failed, the kernel died, or the budget is spent. Outputs so far are in place.
    """
    cells = list(notebook.cells)
    code = [index for index, cell in enumerate(cells) if cell.cell_type == "code"]
    for index in code:
        cells[index].update(outputs=[], execution_count=None)
    watch, report = new_code_cell(WATCH), new_code_cell(REPORT)
    # nbclient addresses cells by index; the two hidden ones stand at the end and leave again.
    notebook.cells = [*cells, watch, report]
    start = time.perf_counter()
    spent = 0.0
    client = NotebookClient(
        notebook,
        kernel_name="python3",
        resources={"metadata": {"path": str(cwd)}},
        coalesce_streams=True,
        record_timing=False,
        store_widget_state=False,
        timeout_func=lambda cell: None if budget is None else max(1, int(budget - spent) + 1),
    )
    # A kernel spec of the user's may name another interpreter; the one running this must do it.
    manager = client.create_kernel_manager()
    manager.kernel_spec.argv[0] = sys.executable
    manager.transport_encryption = "auto"
    try:
        async with client.async_setup_kernel(env=env):
            # nbclient only kills the kernel on Ctrl-C; the whole run should stop.
            asyncio.get_running_loop().remove_signal_handler(signal.SIGINT)
            await client.async_execute_cell(watch, len(cells), store_history=False)
            start = time.perf_counter()
            for done, index in enumerate(code, 1):
                where = f"{name}, code cell {done}"
                try:
                    await client.async_execute_cell(cells[index], index)
                except CellExecutionError as error:
                    raise ChapterError(
                        f"{where} failed: {error.ename}: {error.evalue}", f"\n{error.traceback}"
                    ) from None
                except CellTimeoutError:
                    raise ChapterError(over_budget(where, budget)) from None
                except DeadKernelError:
                    raise ChapterError(f"{where} failed: its kernel died (memory?)") from None
                spent = time.perf_counter() - start
                if on_cell:
                    on_cell(name, done, len(code), spent)
                if budget is not None and spent > budget:
                    raise ChapterError(over_budget(where, budget))
            await client.async_execute_cell(report, len(cells) + 1, store_history=False)
    finally:
        notebook.cells = cells
    return json.loads(report.outputs[0]["text"]), spent


def over_budget(where, budget):
    return (
        f"{where}: the chapter's {budget:g} s of kernel time are spent. Make it cheaper, or move "
        "the long part into a script whose committed results the chapter reads."
    )
