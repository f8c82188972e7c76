"""The command line: `keras-norms demo`, `audit`, `conformance` and `laws`."""

import argparse
import difflib
import math
import os
import pathlib
import re
import subprocess
import sys
import traceback

import keras_norms
from keras_norms import startup

CRASHED = 3


def main(arguments=None):
    """Run a command.

    The exit code is 0 for success, 2 for wrong usage or a missing package, and 3 for a crash. 1 is
    what a command finds.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    options = _parser().parse_args(arguments)
    if options.backend and os.environ.get("KERAS_BACKEND") != options.backend:
        # Keras is imported already; its backend can only be chosen in a new process.
        # It must not take a file keras.py of the current folder for the package.
        command = [sys.executable, "-P", "-m", "keras_norms", *arguments]
        environment = os.environ | {"KERAS_BACKEND": options.backend}
        return subprocess.run(command, env=environment, check=False).returncode
    problem = startup.choose_backend()  # None, unless there is no backend
    if problem:
        return _refused(problem)
    for package, extra in options.needs(options).items():
        if not startup.is_installed(package):
            return _refused(
                f'{package} is not installed: pip install "keras-norms[{extra}]", '
                f'or ".[{extra}]" in a clone of the repository'
            )
    try:
        code = options.run(options)
        sys.stdout.flush()
        return code
    except BrokenPipeError:  # of `| head`, which wants no more
        return _closed()
    except SystemExit as error:
        if isinstance(error.__context__, BrokenPipeError):  # rich ends the process for it
            return _closed()
        # Of a module of the user's, whose 0 would say that all is well
        print(f"The command was ended by sys.exit({error.code!r})", file=sys.stderr)
        return CRASHED
    except Exception:  # 1 would say that the model has errors, or does not conform
        traceback.print_exc()
        return CRASHED


def _closed():
    """What is returned if nobody reads the output any more: as of a process that died of it."""
    # Python would try to write the rest when it ends.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 128 + 13


class _Parser(argparse.ArgumentParser):
    """A parser that says what was meant by a word that is not known."""

    def error(self, message):
        given = re.search(r"invalid choice: '([^']*)'", message)
        choices = [name for action in self._actions for name in action.choices or ()]
        near = difflib.get_close_matches(given[1], choices, 1) if given else []
        super().error(f"{message}. Did you mean {near[0]}?" if near else message)


def _refused(line):
    print(line, file=sys.stderr)
    return 2


def _demo_needs(options):
    needs = {"rich": "demo", "sklearn": "demo"}
    return needs | {"matplotlib": "plot"} if options.plot else needs


def _demo(options):
    from keras_norms import demo

    if options.seed + options.seeds > 2**32:
        return _refused(f"The last seed, {options.seed + options.seeds - 1}, is beyond 2**32 - 1")
    rates = options.rates or demo.RATES
    return demo.run(seed=options.seed, seeds=options.seeds, rates=rates, plot=options.plot)


def _audit_needs(options):
    return {"matplotlib": "plot"} if options.plot else {}


def _audit(options):
    from keras_norms.auditing import command

    return command.run(options)


def _conformance_needs(options):
    needs = {"rich": "conformance"}
    needs |= {"jsonschema": "conformance"} if options.cases else {}
    return needs | {"hypothesis": "conformance"} if ":" in options.target else needs


def _conformance(options):
    from keras_norms.testing import command

    return command.run(options)


def _laws_needs(options):
    return {"rich": "conformance", "hypothesis": "conformance"}


def _laws(options):
    from keras_norms.testing import command

    return command.run_laws(options)


def _picture(name):
    """The path of a picture, checked before anything is trained."""
    path = pathlib.Path(name)
    folder = path.absolute().parent
    if path.suffix not in (".png", ".pdf", ".svg") or path.is_dir() or not folder.is_dir():
        raise argparse.ArgumentTypeError(
            f"must be a file that ends in .png, .pdf or .svg, in a folder that exists. "
            f"Received: {name}"
        )
    if not os.access(path if path.exists() else folder, os.W_OK):
        raise argparse.ArgumentTypeError(f"cannot be written. Received: {name}")
    return path


def _seed(text):
    """A seed as NumPy takes it."""
    if not text.isdecimal() or int(text) >= 2**32:
        raise argparse.ArgumentTypeError(
            f"must be an integer from 0 to 2**32 - 1. Received: {text}"
        )
    return int(text)


def _shape(text):
    """The shape of a weight: lengths with commas between them."""
    parts = text.split(",")
    if not all(part.strip().isdecimal() and int(part) for part in parts):
        raise argparse.ArgumentTypeError(
            f"must be lengths with commas between them, as 3,3,1,8. Received: {text}"
        )
    return tuple(int(part) for part in parts)


def _rate(text):
    """A learning rate."""
    try:
        rate = float(text)
    except ValueError:
        rate = math.nan
    if not 0 < rate < math.inf:
        raise argparse.ArgumentTypeError(f"must be positive and finite. Received: {text}")
    return rate


def _count(text, otherwise=""):
    """A positive integer."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a positive integer{otherwise}. Received: {text}")
    return int(text)


def _jobs(text):
    """A number of processes, of which "auto" makes one for each core."""
    return os.cpu_count() or 1 if text == "auto" else _count(text, " or auto")


def _parser():
    parser = _Parser(prog="keras-norms", description="Weight norms for Keras 3.")
    parser.add_argument(
        "--version", action="version", version=f"keras-norms {keras_norms.__version__}"
    )
    commands = parser.add_subparsers(required=True, metavar="command")

    demo = commands.add_parser(
        "demo", help="train one network with and without max-norm, at several learning rates"
    )
    demo.set_defaults(run=_demo, needs=_demo_needs)
    demo.add_argument("--seed", type=_seed, default=0, help="seed of weights, dropout and batches")
    demo.add_argument(
        "--seeds", type=_count, default=1, help="how many seeds, from --seed on, to train with"
    )
    demo.add_argument("--rates", type=_rate, nargs="+", metavar="RATE", help="learning rates")
    demo.add_argument(
        "--plot", metavar="FILE", type=_picture, help="also write a picture (.png, .pdf, .svg)"
    )

    audit = commands.add_parser(
        "audit",
        help="look for what is silently wrong with a saved model's constraints and penalties",
        epilog="The file is loaded in Keras' safe mode. Exit codes: 0 no errors, 1 errors, 2 usage "
        "or a file that holds no model, 3 a crash.",
    )
    audit.set_defaults(run=_audit, needs=_audit_needs)
    audit.add_argument("file", help="a model that `model.save` wrote, .keras")
    audit.add_argument(
        "--import",
        dest="imports",
        metavar="MODULE",
        action="append",
        default=[],
        help="a module that registers classes of the model; may be given several times",
    )
    audit.add_argument("--format", choices=("table", "markdown", "json"), default="table")
    audit.add_argument(
        "--plot", metavar="FILE", type=_picture, help="draw the norms against their bounds"
    )

    codes = (
        "Exit codes: 0 conforms, 1 does not, 2 usage, 3 harness broken, 4 device missing, "
        "5 nothing ran."
    )
    conformance = commands.add_parser("conformance", help="run the golden cases", epilog=codes)
    conformance.set_defaults(run=_conformance, needs=_conformance_needs)
    conformance.add_argument(
        "--target",
        default="keras_norms",
        help="keras_norms; keras, for the built-ins; or package:name, for the laws on a constraint "
        "or regularizer of yours",
    )
    conformance.add_argument("-k", dest="words", default="", help="only cases with all these words")
    conformance.add_argument("--cases", metavar="DIR", help="golden cases; default: the package's")
    conformance.add_argument(
        "--controls", metavar="DIR", help="also run controls: mutants and troubles, which must fail"
    )
    conformance.add_argument(
        "--all-kills",
        action="store_true",
        help="find every case that kills a mutant, and the cases that can be left out; by default, "
        "a mutant runs until one kills it",
    )
    conformance.add_argument(
        "--jobs", type=_jobs, default=1, metavar="N", help="processes, or auto: one for each core"
    )
    conformance.add_argument("--quiet", action="store_true", help="print the counts only")
    conformance.add_argument("--report", metavar="FILE", help="write the results as JSON")
    conformance.add_argument(
        "--keras-report",
        metavar="FILE",
        help="run the same cases on Keras' own classes too, and write what they fail as JSON",
    )

    laws = commands.add_parser(
        "laws",
        help="check what must hold for every constraint and regularizer on one of yours",
        epilog=codes,
    )
    laws.set_defaults(run=_laws, needs=_laws_needs)
    laws.add_argument(
        "target",
        metavar="package:name",
        help="a constraint, regularizer or function of weights; a class is made without arguments",
    )
    laws.add_argument("-k", dest="words", default="", help="only laws with these words in the name")
    laws.add_argument(
        "--shape",
        dest="shapes",
        type=_shape,
        metavar="N,N",
        action="append",
        help="a shape of weights, as 3,3,1,8, for a target that takes some only; may be repeated",
    )

    conformance.add_argument("--device", choices=("cpu", "gpu", "mesh"), default="cpu")
    laws.add_argument("--device", choices=("cpu", "gpu"), default="cpu")
    for command in (demo, audit, conformance, laws):
        command.add_argument(
            "--backend",
            choices=startup.BACKENDS,
            help="default: KERAS_BACKEND, else that of keras.json if installed, else another",
        )
    return parser
