"""Two processes under PyTorch: DistributedDataParallel over gloo, with a Keras optimizer."""

import os
import sys

import keras
import problem
import torch
import torch.distributed as dist
import torch.multiprocessing as mp


def work(rank, world, folder):
    """Join the group, train, and leave it."""
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=world
    )
    train(rank, world, folder)
    dist.destroy_process_group()


def train(rank, world, folder):
    """Train on a half of the batch; DDP averages the gradients.

    DDP ends with this function: alive after its group, it sometimes ends the process with SIGABRT.
    """
    model = problem.model()
    kernel = model.layers[0].kernel
    parallel = torch.nn.parallel.DistributedDataParallel(model)
    optimizer = keras.optimizers.SGD(problem.RATE)
    part = slice(rank * problem.BATCH // world, (rank + 1) * problem.BATCH // world)
    x, y = (keras.ops.convert_to_tensor(a[part]) for a in (problem.X, problem.Y))
    for _ in range(problem.STEPS):
        parallel.zero_grad()
        keras.ops.mean((parallel(x) - y) ** 2).backward()
        with torch.no_grad():
            optimizer.apply([kernel.value.grad], [kernel])
    torch.save(kernel.value.detach(), f"{folder}/{rank}.pt")
    dist.barrier()  # none may leave while the other still communicates


if __name__ == "__main__":
    folder = sys.argv[1]
    os.environ["OMP_NUM_THREADS"] = "1"
    # Forked, they need not import everything anew.
    mp.start_processes(work, args=(2, folder), nprocs=2, start_method="fork")
    problem.show(**{f"process {rank}": torch.load(f"{folder}/{rank}.pt") for rank in range(2)})
