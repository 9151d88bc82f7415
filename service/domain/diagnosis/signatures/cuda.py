"""The GPU, its driver, and the libraries that talk to it. A fault of the hardware is the machine's: try again."""

from __future__ import annotations

from service.domain.diagnosis.retry import Retry
from service.domain.diagnosis.signature import Weight, says
from service.domain.run import Reason

CUDA = (
    says(
        Reason.INFRASTRUCTURE,
        r"uncorrectable (?:ECC|NVLink) error|CUDA_ERROR_ECC_UNCORRECTABLE|\bXid\b.*: ?\d+|fallen off the bus"
        r"|GPU is lost"
        r"|Unable to determine the device handle for GPU|cudaErrorECCUncorrectable|hardware stack error"
        r"|system not yet initialized|CUDA error: unknown error|CUDA-capable device\(s\) is/are busy"
        r"|all CUDA-capable devices are busy",
        "CUDA runtime errors 214, 220, 46, 802, 999; NVIDIA Xid; nvidia-smi",
        retry=Retry.SAME,
    ),
    says(
        Reason.INFRASTRUCTURE,
        r"Watchdog caught collective operation timeout|NCCL watchdog thread terminated with exception.*timeout"
        r"|Some NCCL operations have failed or timed out|heartbeat monitor timed out",
        "torch csrc/distributed/c10d/ProcessGroupNCCL.cpp",
        remedy="A GPU or a link between GPUs hung, or one process fell behind: submit again; if it repeats, raise "
        "ddp_timeout and check that all processes do the same number of steps.",
        retry=Retry.SAME,
    ),
    says(
        Reason.INFRASTRUCTURE,
        r"ncclSystemError|ncclRemoteError|NCCL error.*unhandled system error|Connection closed by (?:remote )?peer"
        r"|connectFullMesh failed|Timed out (?:waiting for clients|after \d+ seconds waiting)|wait timeout after \d+ms"
        r"|Rendezvous\w+Error|failed to connect to .*(?:c10d|TCPStore)",
        "NCCL 2.x; torch c10d: TCPStore.cpp, ProcessGroupGloo.cpp; elastic rendezvous",
        weight=Weight.POINTS,
        retry=Retry.SAME,
    ),
    says(
        Reason.CUDA_ERROR,
        r"device-side assert|Assertion `[^`]*` failed\.|indexSelect(?:Large|Small)Index",
        "torch aten/src/ATen/native/cuda/Indexing.cu, Loss.cu",
        remedy="An index was out of range on the GPU: mostly token ids beyond the embeddings (resize them after adding "
        "tokens) or labels beyond num_labels. Run once with CUDA_LAUNCH_BLOCKING=1 to see where.",
    ),
    says(
        Reason.CUDA_ERROR,
        r"no kernel image is available|PTX was compiled with an unsupported toolchain"
        r"|unsupported gpu architecture|named symbol not found"
        r"|FlashAttention only supports|FlashAttention-?\d? only supports|requires device with capability"
        r"|No operator found for `memory_efficient_attention|operator wasn't built|not supported on (?:this )?GPU"
        r"|Bfloat16 is only supported on GPUs with compute capability",
        "CUDA runtime errors 209, 222; flash_attn csrc/flash_api.cpp; xformers; triton",
        remedy="The package was not built for this flavor's GPU: take a newer torch (or flash-attn) build, use "
        "attn_implementation sdpa, or another flavor.",
    ),
    says(
        Reason.CUDA_ERROR,
        r"NVIDIA driver on your system is too old|CUDA driver version is insufficient|Found no NVIDIA driver"
        r"|forward compatibility was attempted|CUDA driver initialization failed|libcuda\.so\.1: cannot open"
        r"|no CUDA-capable device is detected|No CUDA GPUs are available|Torch not compiled with CUDA enabled"
        r"|(?:CUDA|GPU) is not available|no GPU (?:was )?found|invalid device ordinal"
        r"|Attempting to deserialize object on a CUDA device",
        "torch csrc/cuda/Module.cpp, cuda/__init__.py, serialization.py; CUDA runtime errors 35, 100, 101, 804",
        remedy="Choose a GPU flavor, or a torch build for an older CUDA; on a CPU flavor pass --use_cpu.",
    ),
    says(
        Reason.CUDA_ERROR,
        r"illegal memory access|illegal instruction was encountered|misaligned address|unspecified launch failure"
        r"|CUBLAS_STATUS_(?!ALLOC_FAILED)\w+|CUDNN_STATUS_(?!ALLOC_FAILED)\w+|CUSPARSE_STATUS_\w+|CUFFT_\w+ERROR"
        r"|cuDNN error|cuDNN Frontend error|unable to find an engine to execute|launch timed out"
        r"|too many resources requested for launch|invalid (?:configuration argument"
        r"|resource handle)"
        r"|unhandled cuda error|ncclUnhandledCudaError|ncclInternalError|ncclInvalidUsage|Duplicate GPU detected",
        "CUDA runtime errors 700, 716, 719, 702, 701; cuBLAS, cuDNN; NCCL",
    ),
    says(
        Reason.CUDA_ERROR,
        r"OutOfResources: out of resources?|out of resource: shared memory|PassManager::run failed"
        r"|Triton Error \[CUDA\]"
        r"|TritonMissing|ptxas (?:fatal|error)|Cannot find a working triton installation"
        r"|^(?:triton\.\S*)?CompilationError",
        "triton runtime/errors.py, compiler; torch._inductor",
        remedy="A compiled kernel does not fit this GPU: use another flavor, turn off torch_compile or the kernel"
        ", or pin "
        "another triton.",
    ),
    says(
        Reason.CUDA_ERROR,
        r"InductorError|BackendCompilerFailed",
        "torch._inductor and torch._dynamo: what they could not compile, for a reason that stands after it",
        weight=Weight.POINTS,
        remedy="A compiled kernel does not fit this GPU or image: turn off torch_compile, or pin another torch.",
    ),
    says(
        Reason.CUDA_ERROR,
        r"is not compatible with the current PyTorch installation\.$|CUDA error: "
        r"|CUDA driver error|cuda runtime error|AcceleratorError|CUDA Setup failed"
        r"|DistBackendError: NCCL error",
        "torch c10/cuda/CUDAException.cpp; bitsandbytes cextension.py",
        weight=Weight.POINTS,
    ),
    says(
        Reason.CUDA_ERROR,
        r"Segmentation fault|exitcode\s*: -(?:4|6|8|11)\b|Signal (?:4|6|8|11) \(SIG\w+\) received"
        r"|died with <Signals\.SIG(?:SEGV|ABRT|ILL|FPE): \d+>|Aborted \(core dumped\)|^Illegal instruction"
        r"|terminated (?:by|with) signal SIG(?:SEGV|ABRT|ILL|FPE)|exits with return code = -(?:4|6|8|11)\b"
        r"|Fatal Python error: (?:Aborted|Bus error)",
        "libc, python faulthandler, torch.distributed.elastic, torch DataLoader",
        weight=Weight.HINTS,
        remedy="A native library crashed, not Python: pin versions of torch, CUDA libraries and kernels that are "
        "released "
        "together.",
    ),
)
