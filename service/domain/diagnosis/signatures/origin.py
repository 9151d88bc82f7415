"""Exceptions that no other signature knows, by who raised them: a library that checks its settings, one that reads
data, one that another version of a library calls. What is left is the script's own."""

from __future__ import annotations

from service.domain.diagnosis.frames import PACKAGES
from service.domain.diagnosis.signature import Weight, Where, says
from service.domain.run import Reason

USUAL = (
    r"^(?:\w+\.)*(?:Value|Type|Key|Attribute|Assertion|NotImplemented|Runtime|Index|Recursion|UnboundLocal)Error\b"
    r"|^Exception\b"
)
CHECK = r"^(?:ValueError|NotImplementedError|Exception):"
LIBRARY = PACKAGES
TRAINERS = r"(?:trl|transformers|peft|accelerate|deepspeed|bitsandbytes|unsloth\w*|axolotl|llamafactory|swift)/"
TRACKERS = r"(?:site|dist)-packages/(?:wandb|trackio|comet_ml|mlflow|neptune|clearml|swanlab|tensorboard\w*|dvclive)/"
ORIGIN = (
    says(
        Reason.BAD_ARGUMENT,
        r"^(?:\w+\.)*\w+(?:Error|Exception)\b",
        "experiment trackers: what they refuse",
        where=Where.EXCEPTION,
        weight=Weight.HINTS,
        raised=TRACKERS,
        remedy="The experiment tracker failed, not the training: correct its settings and key, or set report_to none.",
    ),
    says(
        Reason.BAD_ARGUMENT,
        r"^(?:\w+\.)*(?:Value|Key|Runtime|Type|Assertion|Index)Error\b",
        "torch optim, accelerate, deepspeed: the state of a training that was another",
        where=Where.EXCEPTION,
        weight=Weight.HINTS,
        raised=LIBRARY,
        frames=r"load_state_dict|_load_optimizer|_load_from_checkpoint|load_checkpoint\b|load_state\b",
        remedy="The checkpoint is of another model, optimizer or number of processes than this training: resume with "
        "the same settings, or start without resume_from_checkpoint.",
    ),
    says(
        Reason.MISSING_DEPENDENCY,
        r"^TypeError: .*(?:unexpected keyword argument|positional arguments? but \d+ (?:was|were) given"
        r"|missing \d+ required (?:positional|keyword))|^AttributeError: '(?!NoneType|dict|list|str|int|float"
        r"|tuple)\w+' object",
        "python: a library that calls another in a way which that version does not know",
        where=Where.EXCEPTION,
        weight=Weight.HINTS,
        raised=LIBRARY,
        remedy="Two packages do not fit together: pin versions that were released together.",
    ),
    says(
        Reason.MISSING_DEPENDENCY,
        r"^AttributeError: (?:module|type object) '(?!__main__)",
        "python: a name that a module has in other versions",
        where=Where.EXCEPTION,
        weight=Weight.HINTS,
        remedy="The installed version has no such name: pin the version that the code was written for.",
    ),
    says(
        Reason.MISSING_DEPENDENCY,
        r"^NameError: ",
        "python: a library misses a name that it imports only where another one is installed, or of some version",
        where=Where.EXCEPTION,
        weight=Weight.HINTS,
        raised=LIBRARY,
        remedy="A library misses what an optional package brings (peft, protobuf, accelerate): add it, or pin versions "
        "that were released together.",
    ),
    says(
        Reason.MISSING_DEPENDENCY,
        USUAL,
        "python: a library fails while it is imported",
        where=Where.EXCEPTION,
        weight=Weight.HINTS,
        raised=rf"(?:{LIBRARY})" + r'\S+", line \d+, in <module>',
        remedy="A package cannot be imported beside the others: pin versions that were released together.",
    ),
    says(
        Reason.MISSING_DEPENDENCY,
        USUAL,
        "unsloth_zoo compiler.py: a library that rewrites another's source meets one that it does not know",
        where=Where.EXCEPTION,
        weight=Weight.HINTS,
        raised=r"unsloth(?:_zoo)?/(?:compiler|patch\w*|import_fixes)\.py",
        remedy="unsloth does not know the installed transformers or trl: pin versions that were released together.",
    ),
    says(
        Reason.MISSING_DEPENDENCY,
        USUAL,
        "transformers tokenization_utils_base.py and its like: a tokenizer's files in a later form",
        where=Where.EXCEPTION,
        weight=Weight.HINTS,
        raised=r'(?:tokenization_\w+|convert_slow_tokenizer)\.py", line \d+, in (?:_?from_pretrained|__init__'
        r"|import_protobuf|_set_model_specific_special_tokens"
        r"|_?add_special_tokens|__setattr__|get_spm_processor|convert_slow_tokenizer)",
        remedy="The tokenizer's files are of a form that this transformers does not read: take a newer one.",
    ),
    says(
        Reason.BAD_ARGUMENT,
        USUAL,
        "trl, transformers, peft, accelerate, deepspeed, bitsandbytes: checks of their settings",
        where=Where.EXCEPTION,
        weight=Weight.HINTS,
        raised=r"(?:trl|transformers|peft|accelerate|deepspeed|bitsandbytes|unsloth|axolotl|llamafactory"
        r"|swift)/\S*(?:config|training_args|arguments|argparser|parser|dataclasses|quantizer"
        r"|validat)\S*\.py"
        r'|(?:trl|transformers)/trainer\S*\.py", line \d+, in (?:__init__|__post_init__|_validate\w*'
        r"|create_optimizer\w*|get_optimizer\w*)"
        r"|(?:site|dist)-packages/(?:peft|accelerate|deepspeed)/",
    ),
    says(
        Reason.DATASET_NOT_FOUND,
        r"^FileNotFoundError",
        "datasets: a data file that is not there",
        where=Where.EXCEPTION,
        weight=Weight.HINTS,
        through=r"(?:site|dist)-packages/datasets/",
    ),
    says(
        Reason.SCRIPT_ERROR,
        r"^FileNotFoundError: \[Errno 2\] No such file or directory: ['\"](?P<what>[^'\"]+)['\"]",
        "python open(), pandas io/common.py and their like: errno 2 on a file that the script names",
        where=Where.EXCEPTION,
        weight=Weight.HINTS,
        raised=r"^(?!.*(?:site|dist)-packages/(?!pandas|numpy|PIL|pyarrow|polars|fsspec|soundfile|yaml))",
        remedy="The script opens {what}, which the job's machine does not have: download it from the Hub first, or "
        "mount it with volumes.",
    ),
    says(
        Reason.DATASET_FORMAT,
        r"^(?:\w+\.)*(?!\w*(?:Connection|Timeout|HTTP|OS)Error)\w+(?:Error|Exception|Invalid|Disallowed|Name|Index)\b",
        "datasets exceptions.py and all its checks; pyarrow, pandas, tokenizers and collators: rows that do not fit",
        where=Where.EXCEPTION,
        weight=Weight.HINTS,
        raised=r"(?:site|dist)-packages/(?:datasets|pyarrow|pandas)/|data_collator|collat|trl/data_utils"
        r"|tokenization_utils\w*\.py|(?:image_)?processing_\w+\.py|feature_extraction_\w+\.py|chat_template_utils|preprocess"
        r"|_tokenize",
    ),
    says(
        Reason.DATASET_FORMAT,
        r"^(?:KeyError|IndexError): ",
        "trl, axolotl, llamafactory, swift: a row lacks what they take from it",
        where=Where.EXCEPTION,
        weight=Weight.HINTS,
        raised=r"(?:(?:site|dist)-packages|src)/(?:trl|axolotl|llamafactory|llmtuner|swift)/",
    ),
    says(
        Reason.DATASET_FORMAT,
        r"^ZeroDivisionError: ",
        "transformers trainer.py and its like: an epoch without steps",
        where=Where.EXCEPTION,
        weight=Weight.HINTS,
        raised=rf"(?:{LIBRARY}){TRAINERS}",
        remedy="Too few rows are left for one step: check the split and its filters, turn packing off, or lower the "
        "batch size.",
    ),
    says(
        Reason.HUB_UNAVAILABLE,
        r"^(?:OSError|RuntimeError|ConnectionError|TimeoutError|asyncio\.\S+TimeoutError|fsspec\.\S+)",
        "huggingface_hub, fsspec, HTTP libraries: a transfer that broke",
        where=Where.EXCEPTION,
        weight=Weight.HINTS,
        raised=r"(?:site|dist)-packages/(?:huggingface_hub|requests|urllib3|httpx2?|httpcore2?|aiohttp|fsspec|hf_xet)/",
    ),
    says(
        Reason.DATASET_FORMAT,
        CHECK
        + r".*\b(?:data ?sets?|columns?|features|examples?|rows?|splits?|labels?|jsonl?|csv|parquet|conversations?)\b",
        "words of a check of the data, whoever raised it",
        where=Where.EXCEPTION,
        weight=Weight.HINTS,
    ),
    says(
        Reason.BAD_ARGUMENT,
        CHECK
        + r".*(?:`[\w.]+(?:=[^`]*)?`|--\w|\b(?:arguments?|options?|config\w*|parameters?|settings|flags?|modes?)\b"
        r"|\b(?:stage|task)\b|not supported|unsupported|incompatible|not compatible|only support"
        r"|cannot be used (?:with|together)|please (?:set|use|check|specify|provide|pass|choose))",
        "words of a check of settings, whoever raised it",
        where=Where.EXCEPTION,
        weight=Weight.HINTS,
    ),
    says(
        Reason.BAD_ARGUMENT,
        r"^\w+Error: .*(?:`[\w.]+(?:=[^`]*)?`|--\w|\b(?:arguments?|config\w*|settings?)\b"
        r"|(?:must|should|has to|have to|need to) (?:be|have|specify|set|provide|pass)\b)",
        "libraries that train: a check of settings, by any exception",
        where=Where.EXCEPTION,
        weight=Weight.HINTS,
        raised=rf"(?:{LIBRARY}){TRAINERS}|unsloth_compiled_cache/",
    ),
    says(
        Reason.BAD_ARGUMENT,
        r"^KeyError: ",
        "transformers trainer.py: metrics and settings by name",
        where=Where.EXCEPTION,
        weight=Weight.HINTS,
        raised=r"transformers/trainer\w*\.py",
    ),
    says(
        Reason.CUDA_ERROR,
        r"^(?:torch\._dynamo\.\S+|torch\._inductor\.\S+|Unsupported|(?:Runtime|Assertion|Key|Index)Error)\b",
        "torch._dynamo, torch._inductor, triton, flash_attn, xformers: what they cannot compile or run",
        where=Where.EXCEPTION,
        weight=Weight.HINTS,
        raised=r"(?:site|dist)-packages/(?:torch/_(?:dynamo|inductor|functorch)|triton|flash_attn\w*|xformers)/",
        remedy="A kernel cannot be compiled or run here: turn off torch_compile, use attn_implementation sdpa, or pin "
        "versions of torch and the kernel that were released together.",
    ),
    says(
        Reason.MISSING_DEPENDENCY,
        r"^(?:Attribute|Type|UnboundLocal|Recursion)Error: ",
        "python: a library stumbles over what another of some version gave it",
        where=Where.EXCEPTION,
        weight=Weight.HINTS,
        raised=LIBRARY,
        remedy="Two packages do not fit together: pin versions that were released together.",
    ),
    says(
        Reason.BAD_ARGUMENT,
        r"^(?:\w+\.)*(?:Value|Assertion|NotImplemented|ArgumentType|\w*Validation)Error\b",
        "python: by convention a library raises these where what it was given is wrong",
        where=Where.EXCEPTION,
        weight=Weight.HINTS,
        raised=LIBRARY,
    ),
    says(
        Reason.MISSING_DEPENDENCY,
        r"^KeyError: ",
        "transformers: a name that is in the tables of another version",
        where=Where.EXCEPTION,
        weight=Weight.HINTS,
        raised=r"transformers/(?!trainer)|transformers_modules/",
        remedy="The model's files are of a form that this transformers does not know: take a newer one, or pin the one "
        "that the model was made with.",
    ),
    says(
        Reason.INFRASTRUCTURE,
        r"^(?:torch\.distributed\.)?Dist(?:Store|Network|Backend)?Error\b",
        "torch.distributed: processes that do not reach one another",
        where=Where.EXCEPTION,
        weight=Weight.HINTS,
    ),
    says(
        Reason.BAD_ARGUMENT,
        r"^(?:\w+\.)*(?:Runtime|Index|Key)Error\b",
        "torch, called by the libraries that train: shapes, devices and dtypes of which their settings are",
        where=Where.EXCEPTION,
        weight=Weight.HINTS,
        raised=LIBRARY,
        through=TRAINERS,
        remedy="The model's inputs or weights do not fit together: check device_map, quantization, the tokenizer's "
        "length beside the embeddings, and the adapter's settings.",
    ),
)
