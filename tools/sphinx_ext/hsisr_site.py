"""What the site needs beyond Jupyter Book: no other host, solutions folded, student copies.

- MathJax and its fonts come from an installed package, so a page asks no other host for anything.
- Thebe, which the theme declares twice (a script error) and which fetches from elsewhere, is off.
- A cell tagged ``solution`` is folded under "Show the solution".
- A chapter whose student copy was made links to it, and the copy goes into the site.
- A long name in a table breaks where it is read, at its dots and underscores.
- ``{execution}`` writes the table of run times and versions.
"""

import importlib.metadata
import json
import platform
import re
import shutil
from pathlib import Path

from sphinx.util.docutils import SphinxDirective

STUDENT_COPIES = Path("_build/student")
TIMINGS = Path("results/timings.json")
SHOW, HIDE = "Show the solution", "Hide the solution"
VERSIONS_OF = (
    "numpy",
    "scipy",
    "torch",
    "matplotlib",
    "spectral",
    "ipykernel",
    "jupyter-book",
    "myst-nb",
)


def drop_thebe(app, _config):
    """Disconnect sphinx-thebe, which Jupyter Book always loads."""
    for listeners in app.events.listeners.values():
        for listener in list(listeners):
            if listener.handler.__module__.startswith("sphinx_thebe"):
                app.disconnect(listener.id)
    app.registry.css_files = [
        entry for entry in app.registry.css_files if entry[0] != "sphinx-thebe.css"
    ]


def fold_solutions(app, docname, source):
    """Give each cell tagged ``solution`` the form that the page shows folded."""
    if not str(app.env.doc2path(docname)).endswith(".ipynb"):
        return
    notebook = json.loads(source[0])
    for cell in notebook["cells"]:
        tags = cell["metadata"].get("tags", [])
        if "solution" not in tags:
            continue
        if cell["cell_type"] == "code":
            cell["metadata"]["tags"] = [*tags, "hide-cell"]
            cell["metadata"]["mystnb"] = {"code_prompt_show": SHOW, "code_prompt_hide": HIDE}
        else:
            text = "".join(cell["source"])
            cell["source"] = f"::::::{{dropdown}} {SHOW}\n{text}\n::::::"
    source[0] = json.dumps(notebook)


def student_copy(app, docname):
    """Return the path of a chapter's student copy, whether it was made or not."""
    return Path(app.srcdir) / STUDENT_COPIES / f"{Path(docname).name}.ipynb"


def link_student_copy(app, pagename, _template, context, _doctree):
    """Put a link to the student copy under the chapter's title."""
    if not pagename.startswith("notebooks/") or not student_copy(app, pagename).is_file():
        return
    name = student_copy(app, pagename).name
    address = f"{context['pathto']('student', 1)}/{name}"
    link = (
        f'<p class="hs-student"><a href="{address}" download>Download this chapter as a notebook '
        "to work in</a> (exercises without their solutions).</p>"
    )
    context["body"] = context["body"].replace("</h1>", "</h1>\n" + link, 1)


def break_long_names(_app, _pagename, _template, context, _doctree):
    """Let a dotted name in a table break after a dot, a slash or an underscore, never in a word."""

    def breakable(cell):
        return re.sub(r"(?<=[\w)])([._/]|::)(?=\w)", r"\1<wbr>", cell[0])

    code_in_cell = r'(?<=<span class="pre">)[^<]+(?=</span></code>)'
    context["body"] = re.sub(
        r"<td>.*?</td>",
        lambda cell: re.sub(code_in_cell, breakable, cell[0]),
        context.get("body", ""),
        flags=re.S,
    )


def finish_site(app, error):
    """Copy MathJax, its fonts and the student copies into the finished site."""
    if error is not None or app.builder.format != "html":
        return
    for file in importlib.metadata.files("sphinx-mathjax-offline"):
        *_, inside = str(file).partition("static/mathjax/")
        if inside == "tex-chtml.js" or inside.startswith("output/chtml/fonts/woff-v2/"):
            target = Path(app.outdir) / "_static" / "mathjax" / inside
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file.locate(), target)
    folder = Path(app.outdir) / "student"
    shutil.rmtree(folder, ignore_errors=True)
    for docname in sorted(app.env.found_docs):
        copy = student_copy(app, docname)
        if docname.startswith("notebooks/") and copy.is_file():
            folder.mkdir(exist_ok=True)
            shutil.copyfile(copy, folder / copy.name)


class Execution(SphinxDirective):
    """Tables of the seconds each chapter took and of the versions in use."""

    def run(self):
        lines = []
        timings = Path(self.env.srcdir) / TIMINGS
        if timings.is_file():
            lines += ["| chapter | seconds |", "|---|---|"]
            for name, seconds in sorted(json.loads(timings.read_text("utf-8")).items()):
                lines.append(f"| {Path(name).stem} | {seconds:.1f} |")
        else:
            lines.append("No chapter was run before this build: it publishes the stored outputs.")
        lines += [
            "",
            "| package | version |",
            "|---|---|",
            f"| Python | {platform.python_version()} |",
        ]
        lines += [f"| {name} | {importlib.metadata.version(name)} |" for name in VERSIONS_OF]
        self.env.note_dependency(str(timings))
        return self.parse_text_to_nodes("\n".join(lines))


def setup(app):
    app.connect("config-inited", drop_thebe, priority=999)
    app.connect("source-read", fold_solutions)
    app.connect("html-page-context", link_student_copy)
    app.connect("html-page-context", break_long_names)
    app.connect("build-finished", finish_site)
    app.add_directive("execution", Execution)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
