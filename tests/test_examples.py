"""The examples run, and show what they say."""

import pathlib
import re
import runpy

EXAMPLES = pathlib.Path(__file__).parents[1] / "examples"


def output_of(name, capsys, **arguments):
    """What an example prints; arguments may make it shorter than it is for a reader."""
    runpy.run_path(str(EXAMPLES / name))["main"](**arguments)
    return capsys.readouterr().out


def test_eegnet_finds_the_axis_that_others_published(capsys):
    out = output_of("eegnet.py", capsys, epochs=1)
    published, ours = (float(n) for n in re.findall(r"largest spatial norm ([\d.]+)", out))
    assert published > 1.5  # axis=0 clips single weights, and does not bound the filter
    assert ours <= 1
    assert out.count("audit: wrong-axis at spatial/kernel") == 1
    assert "352 groups of 1 weight " in out
    assert out.rstrip().endswith("audit: 0 findings")


def test_transfer_lists_the_frozen_and_constrains_the_rest(capsys):
    out = output_of("transfer.py", capsys, epochs=3)
    rights = [int(n) for n in re.findall(r"(\d+)% read right", out)]
    assert min(rights) > 80  # 98 % to 100 % on each backend; chance is 20 %
    assert out.count("the weight is frozen; set `trainable = True` on its layer first") == 3
    assert "in place of MaxNorm(max_value=2.0" in out
    assert "largest norm 1.0000" in out
    assert out.rstrip().endswith("audit: 0 findings")


def test_every_example_is_run():
    source = pathlib.Path(__file__).read_text("utf-8")
    for path in EXAMPLES.glob("*.py"):
        assert f'"{path.name}"' in source
