"""Every Python of a job imports this first. With SMALL_CARD=n in its environment the n-th linear layer that is called
finds the card full, and says so as PyTorch's allocator does (c10/cuda/CUDACachingAllocator.cpp, 2.13)."""

import itertools
import os

FULL = (
    "CUDA out of memory. Tried to allocate 1.96 GiB. GPU 0 has a total capacity of 22.06 GiB of which 1.12 GiB is "
    "free. Including non-PyTorch memory, this process has 20.93 GiB memory in use. Of the allocated memory 19.50 GiB "
    "is allocated by PyTorch, and 1.13 GiB is reserved by PyTorch but unallocated. If reserved but unallocated memory "
    "is large try setting PYTORCH_ALLOC_CONF=expandable_segments:True to avoid fragmentation.  See documentation for "
    "Memory Management  "
    "(https://docs.pytorch.org/docs/stable/notes/cuda.html#optimizing-memory-usage-with-pytorch-alloc-conf)"
)

if "SMALL_CARD" in os.environ:
    import torch

    calls, real_linear = itertools.count(1), torch.nn.functional.linear

    def linear(*given: torch.Tensor, **named: torch.Tensor) -> torch.Tensor:
        """What it stands for, until the card is full."""
        if next(calls) >= int(os.environ["SMALL_CARD"]):
            raise torch.OutOfMemoryError(FULL)
        return real_linear(*given, **named)

    torch.nn.functional.linear = linear
