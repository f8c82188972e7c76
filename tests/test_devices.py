"""Several devices: constrained training agrees with float64, and weights stay where they are.

Each run is a process of its own, with virtual devices, under the backend of this session.
"""

import json
import os
import pathlib
import re
import subprocess
import sys

import keras
import numpy as np
import pytest
from devices import problem

SCRIPTS = pathlib.Path(__file__).parent / "devices"
SCRIPT = {
    "jax": ("jax_meshes.py", "trained"),
    "tensorflow": ("tensorflow_mirrors.py",),
    "torch": ("torch_processes.py", "{folder}"),
}[keras.backend.backend()]
# The shape of what a device has of the kernel, in each run, where the run tells it.
SHARDS = {"jax": [[64, 32], [64, 8], [16, 32], [32, 8]]}.get(keras.backend.backend(), [None])


def output_of(*arguments):
    """What a process of its own prints, where JAX has eight virtual devices."""
    eight = "--xla_force_host_platform_device_count=8"
    done = subprocess.run(
        [sys.executable, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"XLA_FLAGS": eight, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.splitlines()


def reports(script, *arguments):
    """The reports, one in a line, that a script prints."""
    lines = output_of(SCRIPTS / script, *arguments)
    return [json.loads(line) for line in lines if line.startswith("{")]


def assert_is_the_solution(kernel):
    # 5 steps, each a float32 sum of 64 and of 16 products: 5 * (4 + log2 64) * eps at the scale of
    # the largest weight.
    expected = problem.expected()
    error = np.abs(np.asarray(kernel) - expected).max()
    assert error <= problem.STEPS * 10 * 2.0**-23 * np.abs(expected).max(), error
    assert np.linalg.norm(kernel, axis=0).max() <= problem.BOUND * (1 + 10 * 2.0**-23)


def test_the_problem_needs_its_constraint():
    """Most units end on their bound, so that a run without the constraint would be seen."""
    norms = np.linalg.norm(problem.expected(), axis=0)
    assert (norms > 0.999 * problem.BOUND).mean() > 0.5
    model = problem.model()
    problem.train(model)
    assert_is_the_solution(keras.ops.convert_to_numpy(model.layers[0].kernel))


def test_training_on_several_devices(tmp_path):
    script, *arguments = (word.format(folder=tmp_path) for word in SCRIPT)
    for report, shard in zip(reports(script, *arguments), SHARDS, strict=True):
        assert report.pop("shards", [None]) == [shard]
        for kernel in report.values():
            assert_is_the_solution(kernel)
        first, *others = report.values()
        assert all(other == first for other in others), "the copies differ"


def test_cases_about_several_devices_can_fail():
    """No mutants run on a mesh, so here is what the suite says of constraints that do nothing."""
    ways = (
        ["data_parallel", "model_parallel"]
        if keras.backend.backend() == "jax"
        else ["data_parallel"]
    )
    cases = [f"max_norm-training-float32-{way}" for way in ways]
    ours, nothing = reports("conforming.py", *cases)
    assert ours == dict.fromkeys(cases, "passed")
    assert nothing == dict.fromkeys(cases, "failed")


def test_the_page_about_scaling_runs(tmp_path):
    heading = {"jax": "JAX", "tensorflow": "TensorFlow", "torch": "PyTorch"}
    page = (SCRIPTS.parents[1] / "docs" / "scaling.md").read_text("utf-8")
    (section,) = re.findall(
        rf"^## {heading[keras.backend.backend()]}: .*?```python\n(.*?)```", page, re.M | re.S
    )
    script = tmp_path / "train.py"
    script.write_text(section)
    processes = keras.backend.backend() == "torch"
    launch = (
        ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"] if processes else []
    )
    (norm,) = map(float, output_of(*launch, script))
    # The largest unit is on its bound, up to the rounding of a norm of 64 weights.
    assert norm == pytest.approx(0.5, rel=10 * 2.0**-23)


if keras.backend.backend() == "jax":

    def test_no_collective_moves_a_weight():
        """The compiled program sends norms between devices; the control, which gathers, weights."""
        (moved,) = reports("jax_meshes.py", "moved")
        for name, report in moved.items():
            # The longest axis inside a group is summed first, and what it leaves may be sent.
            sent = [size for _, size in report["ours"]]
            assert max(sent, default=0) <= report["partial sums"] < report["weights"] / 32, name
            assert bool(sent) == ("units" not in name and "filters" not in name), (name, report)
            assert any(size == report["weights"] for _, size in report["control"]), (name, report)
            assert report["largest norm"] <= 0.5 * (1 + 16 * 2.0**-23)

    def test_a_spectral_constraint_holds_on_a_mesh_and_sends_gram_matrices():
        """A kernel whose inputs are sharded stays where it is; one of sharded units is gathered."""
        (spectra,) = reports("jax_meshes.py", "spectra")
        assert len(spectra) == 6
        for name, report in spectra.items():
            assert report["largest"] <= 0.5 * (1 + 1e-5), name
            largest = 256 * 256 if "inputs" in name else 512 * 256
            assert max(report["sent"]) == largest, name

    def test_a_statistic_of_a_batch_that_is_split_is_that_of_the_whole_batch():
        (found,) = reports("jax_meshes.py", "activities")
        assert found["split"] == pytest.approx(found["whole"], rel=1e-6)

    def test_a_sparse_constraint_keeps_the_same_entries_on_a_mesh_and_sends_counts():
        """Only if entries are equal are truth values gathered, to see which of them come first."""
        (sparse,) = reports("jax_meshes.py", "sparse")
        assert len(sparse) == 10
        for name, report in sparse.items():
            assert report["same"], name
            sizes = [size for operation, size in report["sent"] if operation == "all-reduce"]
            assert max(sizes, default=0) <= 256, name
            gathered = [size for operation, size in report["sent"] if operation != "all-reduce"]
            assert len(gathered) <= 1, name
