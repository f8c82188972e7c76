"""The examples and the notebook run, in a short form, and show what they say."""

import os
import pathlib
import re
import runpy

import nbformat
from nbclient import NotebookClient

EXAMPLES = pathlib.Path(__file__).parent


def output_of(name, capsys, **arguments):
    """What an example prints; arguments may make it shorter than it is for a reader."""
    runpy.run_path(str(EXAMPLES / name))["main"](**arguments)
    return capsys.readouterr().out


def test_eegnet_finds_the_axis_that_others_published(capsys):
    out = output_of("eegnet.py", capsys, epochs=4, seeds=1)
    rights = {name: int(right) for name, right in re.findall(r"^(\w+): (\d+)%", out, re.MULTILINE)}
    norms = [float(norm) for norm in re.findall(r"largest spatial norm ([\d.]+)", out)]
    # The output of the whole example has the spread over seeds.
    assert rights["unconstrained"] < 90 < rights["per_filter"]
    assert norms[1] > 1.5  # axis=0 clips single weights, and does not bound the filter
    assert norms[2] <= 1
    assert out.count("error wrong-axis: eegnet/spatial/kernel") == 1
    assert "352 groups of 1 weight " in out
    assert "per_filter" in out.splitlines()[-1], "nothing is found in the last network"


def test_transfer_lists_the_frozen_and_constrains_the_rest(capsys):
    out = output_of("transfer.py", capsys, epochs=3)
    rights = [int(n) for n in re.findall(r"(\d+)% read right", out)]
    assert min(rights) > 80  # 98 % to 100 % on each backend; chance is 20 %
    assert out.count("the weight is frozen; set `trainable = True` on its layer first") == 3
    assert "in place of MaxNorm(max_value=2.0" in out
    assert "largest norm 1.0000" in out
    assert out.rstrip().endswith("audit: 0 findings")


def test_a_bounded_network_is_certified_and_survives_more(capsys):
    out = output_of("lipschitz.py", capsys, epochs=8, seeds=1)
    found = re.findall(r"(clean|attack|certified) +([\d.]+)%", out)
    free, bounded = (dict(found[i : i + 3]) for i in (0, 3))
    assert float(free["certified"]) < 1
    assert float(bounded["certified"]) > 30
    assert float(bounded["attack"]) > float(free["attack"])
    assert min(float(each["clean"]) for each in (free, bounded)) > 90


def test_an_orthogonal_kernel_remembers_for_longer(capsys):
    out = output_of("recurrent.py", capsys, delays=(400,), steps=60, seeds=1)
    free, orthogonal = (float(right) for right in re.findall(r"([\d.]+)% \(", out))
    # Chance is 12.5 %. In full, at a delay of 1000 steps, one is at 13 % and the other near 100 %.
    assert free + 20 < orthogonal > 70
    assert out.count("from 1.000 to 1.000") == 1


def test_a_pruned_network_is_as_right_and_smaller(capsys):
    out = output_of("pruning.py", capsys, sparsities=(0.9,), epochs=4, seeds=1)
    rows = re.findall(r"(\d+)% zeros, (\S+) +([\d.]+)% .* (\d+) kB", out)
    assert [row[1] for row in rows] == ["dense", "2:4", "scheduled", "one-shot"]
    assert min(float(right) for _, _, right, _ in rows) > 90
    sizes = [int(size) for *_, size in rows]
    assert sizes[2] < sizes[0] / 3
    assert sizes[1] < sizes[0] * 0.75


def test_a_network_without_its_filters_of_zeros_is_faster(capsys):
    out = output_of("filters.py", capsys, shares=(0.5,), factors=(1e-3,), epochs=4, seeds=1)
    rows = re.findall(r"([\d.]+)% \(.*, (\d+)% of the filters, ([\d.]+) of the time", out)
    assert len(rows) == 2
    assert min(float(right) for right, _, _ in rows) > 85
    assert int(rows[0][1]) == 50
    assert float(rows[0][2]) < 0.8


def test_the_notebook_runs_and_shows_tables_and_pictures(tmp_path):
    book = nbformat.read(EXAMPLES / "tour.ipynb", as_version=4)
    code = [cell for cell in book.cells if cell.cell_type == "code"]
    assert all(cell.outputs for cell in code[1:]), "a reader sees what each cell shows"
    place = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(book, kernel_name="python3", resources=place).execute()
    outputs = [output for cell in code for output in cell.outputs]
    shown = [kind for output in outputs for kind in output.get("data", {})]
    assert shown.count("image/png") == 2
    assert shown.count("text/html") == 2
    audits = [output["data"]["text/plain"] for output in outputs if "text/html" in str(output)]
    assert "constraint" in audits[0].splitlines()[1], "the table is in the text, too"
    assert "2 errors, 0 warnings" in audits[0]
    assert "0 errors, 0 warnings" in audits[1]


def test_every_example_is_run_and_its_output_is_kept():
    source = pathlib.Path(__file__).read_text("utf-8")
    names = {path.name for path in EXAMPLES.glob("*.py")} - {pathlib.Path(__file__).name}
    assert all(f'"{name}"' in source for name in names)
    for backend in os.listdir(EXAMPLES / "output"):
        kept = {path.name for path in (EXAMPLES / "output" / backend).iterdir()}
        wanted = {name.replace(".py", ".txt") for name in names}
        assert kept == wanted | {"demo.txt", "learning-rates.png"}
