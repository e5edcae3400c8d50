"""The shell command: ``hsisr-lite scenes`` and ``hsisr-lite fuse``.

What goes wrong with an input is one sentence on stderr and exit code 2; no half-written file is
left.
"""

import argparse
import os
import sys
import textwrap
import warnings
from pathlib import Path

from hsisr_lite.arrays import InputError
from hsisr_lite.methods import fuse, methods


def main(argv=None):
    """Run the command and return its exit code.

    Parameters
    ----------
    argv : list of str, optional
        Arguments; default those of the process.

    Returns
    -------
    code : int
        0 when done, 2 for an input that cannot be used, 130 when interrupted.
    """
    args = _parser().parse_args(argv)
    if hasattr(sys.stdout, "reconfigure"):  # a name that the terminal cannot show is no failure
        sys.stdout.reconfigure(errors="backslashreplace")
    with warnings.catch_warnings():
        warnings.simplefilter("default", UserWarning)
        warnings.showwarning = _one_line
        try:
            args.run(args)
        except BrokenPipeError:  # the reader of our output has left, as `head` does
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        except (InputError, OSError) as error:
            print(f"hsisr-lite: {_sentence(error)}", file=sys.stderr)
            return 2
        except KeyboardInterrupt:
            print("hsisr-lite: interrupted, nothing was written.", file=sys.stderr)
            return 130
    return 0


def _sentence(error):
    """The system's own errors know a number and a file, but no remedy."""
    if isinstance(error, InputError) or error.strerror is None:
        return error
    what = error.filename or "the output"
    return (
        f"{what} cannot be read or written ({error.strerror}): check its path, its permissions and "
        "the room that is left."
    )


def _one_line(message, category, filename, lineno, file=None, line=None):
    print(f"hsisr-lite: warning: {message}", file=sys.stderr)


class _Parser(argparse.ArgumentParser):
    """A parser whose complaint is one sentence, without the usage in front of it."""

    def error(self, message):
        self.exit(2, f"hsisr-lite: {message}; `{self.prog} --help` lists what is possible.\n")


def _parser():
    parser = _Parser(prog="hsisr-lite", description="Hyperspectral image fusion from the shell.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    scenes = commands.add_parser("scenes", help="list the scenes with licence and citation")
    scenes.set_defaults(run=_scenes)

    command = commands.add_parser(
        "fuse",
        help="fuse a hyperspectral and a multispectral image",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="methods:\n" + "\n".join(f"  {name:22}{text}" for name, text in methods().items()),
    )
    command.set_defaults(run=_fuse)
    add = command.add_argument
    add("--hsi", required=True, metavar="FILE", help="low-resolution hyperspectral image")
    add("--msi", required=True, metavar="FILE", help="high-resolution multispectral image")
    add("--out", required=True, metavar="FILE", help="result: .hdr, .mat, .npz, .tif or .tiff")
    add("--method", default="regression_residual", metavar="NAME", help="see below")
    add("--sensor", metavar="NAME", help="sensor of the MSI, or a .csv of its response curves")
    add("--srf", metavar="FILE", help="SRF matrix (msi bands, hsi bands): .npy, .npz, .csv, .txt")
    add("--psf", metavar="FILE", help="PSF (k, k): .npy, .npz, .csv, .txt")
    add("--ratio", type=int, metavar="N", help="default: from the sizes")
    add("--budget", choices=("lite", "paper"), help="settings of trained methods")
    add("--seed", type=int, default=0, metavar="N")
    add("--device", default="auto", choices=("auto", "cpu", "cuda"))
    add("--hsi-variable", metavar="NAME", help="array of a MAT or NPZ file")
    add("--msi-variable", metavar="NAME", help="array of a MAT or NPZ file")
    add("--wavelengths", metavar="FILE", help="band centres of the HSI in nm: .csv, .txt, .npy")
    add("--quiet", action="store_true", help="print nothing but warnings and errors")
    return parser


def _scenes(args):
    from hsisr_lite.scenes.catalog import list_scenes

    row = "{:24}{:>16}  {:>15}  {}"
    print(row.format("name", "size", "range in nm", "found in"))
    for scene in list_scenes():
        size = "{rows} x {cols} x {bands}".format(**scene)
        low, high = scene["range_nm"]
        print(row.format(scene["name"], size, f"{low:.0f} to {high:.0f}", scene["where"]))
        for key in ("description", "licence", "citation"):
            text = scene[key] if key == "description" else f"{key}: {scene[key]}"
            print(textwrap.fill(text, 96, initial_indent="    ", subsequent_indent="      "))


def _fuse(args):
    # What can be wrong with the request is found before minutes are spent on it.
    from hsisr_lite.scenes.writers import check_target

    out = check_target(args.out)
    _refuse_overwriting(
        out, (args.hsi, args.msi, args.srf, args.psf, args.sensor, args.wavelengths)
    )
    if args.method not in methods():
        raise InputError(
            f"method '{args.method}' is not known: one of {', '.join(methods())} is needed; "
            "correct --method."
        )
    from hsisr_lite.degradation.loading import load_pair
    from hsisr_lite.results import save

    pair = load_pair(
        args.hsi,
        args.msi,
        ratio=args.ratio,
        psf=args.psf,
        srf=args.srf,
        sensor=args.sensor,
        lr_variable=args.hsi_variable,
        hr_variable=args.msi_variable,
        wavelengths=args.wavelengths,
        progress=not args.quiet,
    )
    result = fuse(
        pair,
        method=args.method,
        budget=args.budget,
        seed=args.seed,
        device=args.device,
        progress=not args.quiet,
    )
    save(result, out, progress=not args.quiet)
    if args.quiet:
        return
    rows, cols, bands = result.hr_hsi.shape
    print(
        f"{out}: {rows} x {cols} pixels, {bands} bands, by {args.method} in {result.seconds:.2f} s"
    )
    for note in [*result.meta.get("notes", []), *result.notes]:
        print(f"  {note}")


def _refuse_overwriting(out, inputs):
    """An ENVI image is two files: neither of them may be an input, by whatever path."""
    written = [out, out.with_suffix(".img")] if out.suffix.lower() == ".hdr" else [out]
    for path in (Path(name).expanduser() for name in inputs if name and Path(name).name):
        # The header and the data that can belong to a.img, a.hdr and a.img.hdr.
        read = [path, *(path.with_suffix(s) for s in (".hdr", ".img", "")), Path(f"{path}.hdr")]
        if any(one.is_file() and two.is_file() and one.samefile(two)
               for one in written for two in read):  # fmt: skip
            raise InputError(
                f"the output {out} would replace the input {path}: another name is needed; "
                "change --out."
            )
