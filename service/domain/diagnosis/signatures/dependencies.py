"""Packages that are missing, do not build or do not fit together."""

from __future__ import annotations

from service.domain.diagnosis.signature import Weight, Where, says
from service.domain.run import Reason

DEPENDENCIES = (
    says(
        Reason.MISSING_DEPENDENCY,
        r"No solution found when resolving|your requirements are unsatisfiable|ResolutionImpossible"
        r"|No matching distribution found"
        r"|Could not find a version that satisfies|conflicting dependencies",
        "uv 0.1 to 0.13 (`error:`/`cause:` or `×`/`╰─▶`); pip",
        where=Where.LINE,
        detail=r"(?:no versions? of|versions of|requirement) (?P<what>[A-Za-z0-9][\w.-]*(?:\[[\w,-]+\])?)",
        remedy="The resolver finds no set of versions, because of {what}: correct its name or loosen its version "
        "in the "
        "PEP 723 header or in recipe.dependencies, or set recipe.python to one that it supports.",
    ),
    says(
        Reason.MISSING_DEPENDENCY,
        r"Failed to (?:download and )?build `?[\w.=-]+|The build backend returned an error|Failed building wheel"
        r"|subprocess-exited-with-error"
        r"|Build backend failed|failed to build installable wheels|metadata-generation-failed"
        r"|Failed to prepare distributions",
        "uv: uv-build-frontend; pip",
        where=Where.LINE,
        detail=r"Failed to (?:download and )?build `?(?P<what>[\w.-]+)",
        remedy="{what} has no wheel for this image and does not build there: pin a version that has one, or leave"
        " it out "
        "(attn_implementation sdpa, or kernels, in place of flash-attn).",
    ),
    says(
        Reason.MISSING_DEPENDENCY,
        r"No interpreter found for Python|requires-python|does not satisfy Python"
        r"|doesn't have a source distribution or wheel|neither a source distribution nor a wheel"
        r"|was not found in the package registry|requires a different Python"
        r"|Distribution not found|is not supported on this platform|no wheels? with a matching (?:Python"
        r"|platform)|was not found in the provided package locations"
        r"|externally-managed-environment|^E: Unable to locate package|Could not open requirements file"
        r"|Git executable not found|Git operation failed"
        r"|^fatal: (?:repository '.*' not found|could not read Username)"
        r"|HTTP status client error \(404 Not Found\) for url \(https?://\S+/simple/",
        "uv: uv-python, uv-resolver; pip",
        where=Where.LINE,
        weight=Weight.POINTS,
        remedy="Set recipe.python (or requires-python in the PEP 723 header) to a version that all packages support.",
    ),
    says(
        Reason.MISSING_DEPENDENCY,
        r"^error: Failed to spawn: `(?P<what>[\w.-]+)`",
        "uv: commands/project/run.rs: the command is in no package of the environment, nor in the image",
        where=Where.LINE,
        weight=Weight.POINTS,
        remedy="Nothing that is installed brings the command {what}: add the package that does (`--with`, the script's "
        "PEP 723 header or recipe.dependencies), or correct the command's name.",
    ),
    says(
        Reason.MISSING_DEPENDENCY,
        r"Failed to parse: `|The script's PEP 723 metadata|invalid (?:PEP 723|inline script) metadata"
        r"|Expected (?:package name|one of) .*(?:in|at) |TOML parse error",
        "uv: uv-scripts, uv-pep508",
        where=Where.LINE,
        weight=Weight.POINTS,
        remedy="The PEP 723 header or a requirement is not well-formed: correct it.",
    ),
    says(
        Reason.MISSING_DEPENDENCY,
        r"(?:ModuleNotFoundError: )?No module named ['\"](?P<what>[\w.]+)",
        "python import system",
        remedy="Add the package of {what} to the script's PEP 723 header or to recipe.dependencies.",
    ),
    says(
        Reason.MISSING_DEPENDENCY,
        r"cannot import name|partially initialized module|Failed to import \S+ because of the following error"
        r"|DLL load failed"
        r"|cannot open shared object file|Could not load (?:lib|dynamic library|library)|cannot load library"
        r"|undefined symbol|symbol \S+(?: version \S+)?,? not defined in file"
        r"|version `\S+' not found|is a different version"
        r"|binary incompatibility"
        r"|numpy\.dtype size changed|compiled using NumPy 1\.x|incompatible version of"
        r"|operator torchvision::nms does not exist"
        r"|A module that was compiled using|was removed in the NumPy|Numpy is not available|_ARRAY_API not found"
        r"|`?rope_(?:scaling|parameters)`? must be a dictionary",
        "python import system; ld.so; numpy ABI; torchvision",
        where=Where.EXCEPTION,
        remedy="Two packages do not fit together: pin versions that were released together (trl with its transformers, "
        "torchvision and flash-attn with their torch).",
    ),
    says(
        Reason.MISSING_DEPENDENCY,
        r"requires? (?:the )?[`']?(?P<what>[\w-]+)[`']?(?: library| package)?(?: to be installed"
        r"| but it was not found|: `?pip install)|You need to (?:have|install) .*(?:installed|install)"
        r"|(?:pip|uv) install|PackageNotFoundError|is required for a normal functioning"
        r"|but it was not found in your environment|is not installed"
        r"|toggled on, but it cannot be used|doesn't seem to be installed|please install|but .* not installed"
        r"|has to be installed|requires? `?[\w-]+`? ?(?:>=|>|==) ?`?\d"
        r"|[Pp]lease (?:upgrade|update) (?:your )?`?[\w-]+`? (?:version|to (?:the latest|at least|use))"
        r"|version of \w+ (?:you are using|that is installed|installed) is (?:not compatible|too old|not supported)"
        r"|requires (?:accelerate|bitsandbytes|peft)|No package metadata was found for|Missing optional dependency",
        "transformers utils/import_utils.py, quantizers; trl; peft; accelerate; pandas",
        where=Where.EXCEPTION,
        weight=Weight.POINTS,
        detail=r"(?:pip|uv) install (?:-U |--upgrade )?(?P<what>[\w.-]+)",
        remedy="Add {what} to the script's PEP 723 header or to recipe.dependencies.",
    ),
    says(
        Reason.MISSING_DEPENDENCY,
        r"Couldn't instantiate the backend tokenizer|need to have sentencepiece|make sure you have sentencepiece"
        r"|Cannot instantiate this tokenizer from a slow version"
        r"|Converting from (?:SentencePiece and )?Tiktoken failed"
        r"|data did not match any variant of untagged enum|requires the SentencePiece library"
        r"|`?tiktoken`? is required|requires the protobuf library",
        "transformers tokenization_utils_fast.py, convert_slow_tokenizer.py",
        remedy="Add sentencepiece, tiktoken and protobuf to recipe.dependencies, or take newer transformers and t"
        "okenizers: the "
        "tokenizer's file may be of a later form.",
    ),
    says(
        Reason.MISSING_DEPENDENCY,
        r"does not recognize this architecture|Tokenizer class \w+ (?:does not exist or )?is not currently imported"
        r"|^KeyError: '(?:qwen|llama|mistral|gemma|phi|smollm|mixtral|deepseek|olmo|granite)\w*'"
        r"|Unrecognized configuration class|has no attribute '\w+Config'",
        "transformers auto/configuration_auto.py, tokenization_auto.py",
        where=Where.EXCEPTION,
        remedy="The installed transformers does not know this architecture: take a newer one in recipe.dependencies "
        "(for trl_sft: a newer trl_version).",
    ),
    says(
        Reason.MISSING_DEPENDENCY,
        r"CUDA_HOME|No such file or directory: '(?:\S*/)?(?:nvcc|git|ninja|gcc|g\+\+|cmake|make|ffmpeg)'"
        r"|nvcc:? (?:was )?not found|[Nn]inja build failed|Command '\['ninja', .* returned non-zero"
        r"|CUDAMismatch|Installed CUDA version|Error building extension"
        r"|Ninja is required|Unable to JIT load the|unable to compile c(?:uda|pp)"
        r"|Failed to find C compiler|g\+\+: (?:fatal )?error|gcc: fatal|fatal error: Python\.h"
        r"|command 'gcc' failed|CUDA Setup failed despite|libbitsandbytes"
        r"|compiled without (?:GPU|CUDA) support|CPU-only version of bitsandbytes|Native code method attempted to call"
        r"|No compatible \w+ binary found",
        "deepspeed ops/op_builder/builder.py; torch utils/cpp_extension.py; triton; bitsandbytes",
        where=Where.EXCEPTION,
        remedy="A native extension cannot be loaded or built in this image: pin a prebuilt version that fits torc"
        "h's CUDA, "
        "or take an image with the CUDA toolkit and a compiler.",
    ),
    says(
        Reason.MISSING_DEPENDENCY,
        r"Weights only load failed|was not an allowed global by default|WeightsUnpickler error",
        "torch 2.6 serialization.py: a checkpoint that another version wrote",
        where=Where.EXCEPTION,
        weight=Weight.POINTS,
        remedy="torch 2.6 and later refuse what an older library put into this checkpoint: take a newer transformers "
        "(or the torch that wrote it), or start without resume_from_checkpoint.",
    ),
    says(
        Reason.MISSING_DEPENDENCY,
        r"^ImportError|PackageNotFoundError",
        "python import system",
        where=Where.EXCEPTION,
        weight=Weight.HINTS,
    ),
    says(
        Reason.MISSING_DEPENDENCY,
        r"^(?-i:error): (?!RPC failed|failed to push|pathspec|src refspec|unexpected|invalid|exception:)"
        r"|^\s{0,4}[×x] Failed to ",
        "uv: any other error of its own, before the script ran (`error:` or miette's `×`)",
        where=Where.LINE,
        weight=Weight.HINTS,
    ),
)
