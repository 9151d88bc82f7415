"""Memory and disk: the GPU's, the machine's, /dev/shm, and files."""

from __future__ import annotations

from service.domain.diagnosis.signature import Weight, Where, says
from service.domain.run import Reason

MEMORY = (
    says(
        Reason.CUDA_OOM,
        r"CUDA out of memory|HIP out of memory|torch\.(?:cuda\.)?OutOfMemoryError"
        r"|Evaluation hit an out-of-memory error|No executable batch size found",
        "torch c10/cuda/CUDACachingAllocator.cpp; before 2.5 torch.cuda.OutOfMemoryError, before 1.13 RuntimeError; "
        "accelerate utils/memory.py, when it has tried all batch sizes",
    ),
    says(
        Reason.CUDA_OOM,
        r"CUDA error: out of memory|CUDA runtime error\b.*out of memory|cudaErrorMemoryAllocation"
        r"|CUDA_ERROR_OUT_OF_MEMORY"
        r"|cuda runtime error \(2\)",
        "torch c10/cuda/CUDAException.cpp; driver API error 2",
    ),
    says(
        Reason.CUDA_OOM,
        r"CUBLAS_STATUS_ALLOC_FAILED|CUDNN_STATUS_ALLOC_FAILED|CUSOLVER_STATUS_ALLOC_FAILED",
        "torch aten/src/ATen/cuda/CUDABlas.cpp: no room for a library's handle",
    ),
    says(
        Reason.CUDA_OOM,
        r"^Error out of memory at line \d+ in file|Triton Error \[CUDA\]: out of memory|NCCL\b.*(?<!host )out of memory"
        r"|Free memory on device .*is less than desired|OOM when allocating tensor|out_of_memory: CUDA error"
        r"|Failed to CUDA (?:calloc|malloc)"
        r"|No available memory for the cache blocks|RESOURCE_EXHAUSTED: Out of memory",
        "bitsandbytes csrc/ops.cu; triton; NCCL src/include/alloc.h; vllm; jaxlib",
    ),
    says(
        Reason.CUDA_OOM,
        r"Some modules are dispatched on the CPU or the disk\. Make sure you have enough GPU RAM",
        "transformers quantizers/quantizer_bnb_4bit.py: validate_environment",
    ),
    says(
        Reason.HOST_OOM,
        r"DefaultCPUAllocator: (?:can't allocate|not enough) memory",
        "torch c10/core/impl/alloc_cpu.cpp",
    ),
    says(
        Reason.HOST_OOM,
        r"^(?:\w+\.)*_?(?:Array)?MemoryError\b|Unable to allocate [\d.]+ [KMGTP]?iB for an array|^std::bad_alloc"
        r"|what\(\):\s+std::bad_alloc|^MemoryError|pyarrow\.lib\.ArrowMemoryError",
        "python MemoryError; numpy _core/_exceptions.py; libstdc++; arrow memory_pool.cc",
    ),
    says(
        Reason.HOST_OOM,
        r"\[Errno 12\] Cannot allocate memory|Cannot allocate memory \(os error 12\)|fork: Cannot allocate memory"
        r"|unable to mmap \d+ bytes from file .*Cannot allocate memory|cudaHostAlloc.*failed|paging file is too small",
        "errno 12",
    ),
    says(
        Reason.HOST_OOM,
        r"insufficient shared memory \(shm\)|killed by signal: Bus error|workers are out of shared memory"
        r"|unable to (?:open|write to|mmap) (?:shared memory object|file) </torch_|Error while creating shared memory"
        r"|exits with return code = -7\b|exitcode\s*: -7\b|Signal 7 \(SIGBUS\) received"
        r"|\bBus error\s+\(core dumped\)|^Bus error$",
        "torch utils/data/_utils/signal_handling.py; NCCL src/misc/shmutils.cc",
        remedy="Lower dataloader_num_workers (0 uses no shared memory) or the batch size, or take a flavor with m"
        "ore RAM.",
    ),
    says(
        Reason.HOST_OOM,
        r"Out of memory: Killed process|Memory cgroup out of memory|\boom-kill(?:er)?\b|\bOOMKilled\b|oom_reaper"
        r"|killed by signal: Killed|raylet.*memory (?:usage )?threshold|ray\.exceptions\.OutOfMemoryError"
        r"|node running low on memory|low on resource: memory|\bOOM killer\b|memory (?:usage )?(?:limit )?exceed"
        r"|exceeded (?:its |the )?memory limit|tried to allocate more memory than is available",
        "linux mm/oom_kill.c; kubelet; torch DataLoader; ray memory monitor",
    ),
    says(
        Reason.HOST_OOM,
        r"^\s*(?:\[\d+\]\s+)?(?:\S*sh: |make: \*+ \[[^\]]*\] )?(?:line \d+: +|\d+: )?(?:\d+\s+)?Killed\b(?:: 9|(?!:))"
        r"|^(?:the )?process (?:was )?killed\b|Signal 9 \(SIGKILL\) received|exitcode\s*: -9\b"
        r"|exits with return code = -9\b|non-zero exit status (?:137|-9)\b|\] Error 137$"
        r"|\b(?:killed|terminated|exited|died|ended|finished|received)\b.{0,40}(?:SIGKILL|signal:? 9\b| -9\b|\b137\b)"
        r"|\bexit(?:ed with)?(?: status| code):? (?:137|-9)\b"
        r"|A process in the process pool was terminated abruptly"
        r"|A worker process managed by the executor was unexpectedly terminated"
        r"|One of the subprocesses has abruptly died during map operation",
        "shells; torch.distributed.elastic; deepspeed launcher/launch.py; subprocess; concurrent.futures; joblib; "
        "datasets utils/py_utils.py",
        weight=Weight.POINTS,
    ),
    says(
        Reason.HOST_OOM,
        r"DataLoader worker \(pid\(s\) [\d, ]+\) exited unexpectedly",
        "torch utils/data/dataloader.py: a worker is gone and left no word, as the killed do",
        where=Where.EXCEPTION,
        weight=Weight.HINTS,
        remedy="Lower dataloader_num_workers (0 uses no shared memory), or take a flavor with more RAM.",
    ),
    says(
        Reason.DISK_FULL,
        r"No space left on device|\[Errno 28\]|os error 28|Disk quota exceeded|\[Errno 122\]"
        r"|not enough (?:free )?disk space"
        r"|not enough disk space|ENOSPC|database or disk is full|low on resource: ephemeral-storage"
        r"|ephemeral local storage usage|exceeds? (?:the total limit of containers|.*ephemeral.storage)",
        "errno 28 and 122; safetensors; datasets builder.py; sqlite; kubelet eviction",
    ),
    says(
        Reason.DISK_FULL,
        r"inline_container\.cc:\d+\] \. (?:unexpected pos|.*file write failed)|PytorchStreamWriter failed writing file",
        "torch caffe2/serialize/inline_container.cc: torch.save, which does not name the disk",
        where=Where.EXCEPTION,
    ),
)
