"""Every Python of a job imports this first. With SMALL_CARD=n in its environment the n-th linear layer that is called
finds the card full, with SMALL_CARD_ROWS=n one that is given more than n rows, and says so as PyTorch's allocator does
(c10/cuda/CUDACachingAllocator.cpp, 2.13). With SLOW=s each optimizer step takes s seconds longer."""

import itertools
import os
import time
from collections.abc import Callable

FULL = (
    "CUDA out of memory. Tried to allocate 1.96 GiB. GPU 0 has a total capacity of 22.06 GiB of which 1.12 GiB is "
    "free. Including non-PyTorch memory, this process has 20.93 GiB memory in use. Of the allocated memory 19.50 GiB "
    "is allocated by PyTorch, and 1.13 GiB is reserved by PyTorch but unallocated. If reserved but unallocated memory "
    "is large try setting PYTORCH_ALLOC_CONF=expandable_segments:True to avoid fragmentation.  See documentation for "
    "Memory Management  "
    "(https://docs.pytorch.org/docs/stable/notes/cuda.html#optimizing-memory-usage-with-pytorch-alloc-conf)"
)

MOST_CALLS, MOST_ROWS = (int(os.environ.get(name, "0")) for name in ("SMALL_CARD", "SMALL_CARD_ROWS"))

if MOST_CALLS or MOST_ROWS:
    import torch

    calls, real_linear = itertools.count(1), torch.nn.functional.linear

    def linear(*given: torch.Tensor, **named: torch.Tensor) -> torch.Tensor:
        """What it stands for, until the card is full."""
        if (MOST_CALLS and next(calls) >= MOST_CALLS) or (MOST_ROWS and given[0].shape[0] > MOST_ROWS):
            raise torch.OutOfMemoryError(FULL)
        return real_linear(*given, **named)

    torch.nn.functional.linear = linear

if SLOW := float(os.environ.get("SLOW", "0")):
    import torch

    real_step = torch.optim.Optimizer.profile_hook_step

    def slow(func: Callable[..., object]) -> Callable[..., object]:
        """An optimizer's step, some time later."""
        made = real_step(func)

        def step(*given: object, **named: object) -> object:
            time.sleep(SLOW)
            return made(*given, **named)

        step.hooked = True  # as torch marks what it has wrapped
        return step

    torch.optim.Optimizer.profile_hook_step = staticmethod(slow)
