"""Arguments and settings that the training refuses."""

from __future__ import annotations

from service.domain.diagnosis.signature import Weight, Where, says
from service.domain.run import Reason

CONFIGS = r"(?:\w*Config|\w*Arguments|LoraConfig|BitsAndBytesConfig|Accelerator)"
ARGUMENTS = (
    says(
        Reason.BAD_ARGUMENT,
        r"not used by the HfArgumentParser|Some keys are not used by the HfArgumentParser",
        "transformers hf_argparser.py; trl scripts",
        detail=r"(?P<what>\[[^\]]+\])",
        remedy="The training script does not know {what}: correct the spelling, or remove it from recipe.args.",
    ),
    says(
        Reason.BAD_ARGUMENT,
        r"error: (?:argument -|unrecognized arguments|the following arguments are required|ambiguous option"
        r"|invalid choice|one of the arguments|argument \w+: invalid)"
        r"|^Error: (?:No such option|Missing (?:option|argument)|Invalid value for|Got unexpected extra argument"
        r"|No such command)|"
        r": error: Ambiguous|^error: (?:unexpected argument|unrecognized subcommand|invalid value"
        r"|a value is required|the following required arguments)"
        r"|can't open file '[^']+': \[Errno 2\]|^error: Failed to spawn: `[^`]*\.py`"
        r"|^error: (?:HTTP status client error|Failed to (?:read|fetch|download)) .*\.py\b",
        "python argparse; click and typer; torchrun; accelerate launch; uv (clap)",
        where=Where.LINE,
    ),
    says(
        Reason.BAD_ARGUMENT,
        r"(?:doctype html|<html|404: Not Found|Entry not found|Repository not found"
        r"|Invalid username or password\.?|Access to \S+ is restricted)",
        "uv run URL: the server's error page is executed as a script",
        where=Where.EXCEPTION,
        frames=r"doctype html|<html|404: Not Found|Entry not found|Repository not found"
        r"|Invalid username or password|Access to ",
        remedy="What was downloaded is an error page, not a script: correct recipe.url (a raw file's address that"
        " needs no "
        "login), or send the script as recipe.source.",
    ),
    says(
        Reason.BAD_ARGUMENT,
        rf"{CONFIGS}\.?(?:__init__)?\(\) got an unexpected keyword argument|'{CONFIGS}' object has no attribute"
        r"|\w*Trainer\.__init__\(\) got an unexpected keyword argument",
        "python, on the configuration classes and trainers of transformers, trl, peft, accelerate",
        where=Where.EXCEPTION,
        detail=r"(?:argument|attribute) '(?P<what>\w+)'",
        remedy="This version of the library has no setting {what}: use its present name, or pin the version that "
        "has it.",
    ),
    says(
        Reason.BAD_ARGUMENT,
        r"trust_remote_code|contains custom code which must be executed"
        r"|requires you to execute the (?:configuration|modeling|tokenizer|dataset) (?:file|script)",
        "transformers dynamic_module_utils.py: resolve_trust_remote_code",
        where=Where.EXCEPTION,
        remedy="The repository brings code of its own: read it, then set trust_remote_code: true, or take another"
        " model.",
    ),
    says(
        Reason.BAD_ARGUMENT,
        r"Target modules? .*not found in the base model|NoMatchingPeftModuleError|Please specify `?target_modules"
        r"|target_modules|No modules were targeted"
        r"|is not supported\. Currently, only .*modules are supported|`?r`? should be a positive integer"
        r"|PeftConfig|modules_to_save",
        "peft tuners/tuners_utils.py, lora/config.py",
        where=Where.EXCEPTION,
        remedy="Set lora.target_modules to names that this model has; all-linear fits every model.",
    ),
    says(
        Reason.BAD_ARGUMENT,
        r"Your setup doesn't support bf16|bf16/gpu|(?:FP16|BF16) Mixed precision training|`?(?:--)?(?:fp16|bf16"
        r"|tf32)`? (?:can only|requires|mixed)|At most one of fp16 and bf16"
        r"|Attempting to unscale FP16 gradients|fp16 mixed precision requires a GPU|bf16 mixed precision requires",
        "transformers training_args.py; torch amp/grad_scaler.py; accelerate accelerator.py",
        remedy="The precision does not fit: on a GPU before Ampere use fp16 with float32 weights, on a CPU flavor pass "
        "--use_cpu; weights loaded as float16 cannot be trained with fp16: true.",
    ),
    says(
        Reason.BAD_ARGUMENT,
        r"expected \w+(?:, \w+)*,? and \w+ to have the same dtype|expected scalar type \w+ but found \w+"
        r"|expected out tensor to have dtype|Input type .* and (?:bias|weight) type .* should be the same"
        r"|Flash ?Attention\S*(?: [\d.]+)? only supports? (?:torch\.)?(?:fp16|float16)"
        r"|not implemented for '(?:Half|BFloat16|Float8\w*)'|unsupported ScalarType BFloat16"
        r"|expect parameter to have scalar type of",
        "torch aten: dtype checks; flash_attn csrc/flash_api.cpp; transformers modeling_utils.py",
        where=Where.EXCEPTION,
        weight=Weight.POINTS,
        remedy="Weights and computation are of different precisions: set bf16 (or fp16) and the same dtype for the "
        "model and its quantization (bnb_4bit_compute_dtype), or use attn_implementation sdpa.",
    ),
    says(
        Reason.BAD_ARGUMENT,
        r"DeepSpeed config|ds_config|mismatch TrainingArguments values|Please correct the following DeepSpeed"
        r"|Default process group has not been initialized|`?--?num_processes"
        r"|Could not find the transformer layer class to wrap|Must flatten tensors with uniform dtype|(?:FSDP"
        r"|fsdp|DeepSpeed|deepspeed).*(?:must|requires|not compatible|incompatible|cannot be used)"
        r"|accelerate config|DeepSpeedConfigError",
        "transformers integrations/deepspeed.py; accelerate; deepspeed runtime/config.py",
        where=Where.EXCEPTION,
        weight=Weight.POINTS,
        remedy="Set the values of the DeepSpeed or FSDP configuration to auto, or make them agree with recipe.args.",
    ),
    says(
        Reason.BAD_ARGUMENT,
        r"api_key not configured|wandb login|WANDB_API_KEY|You need a W&B account|CommError: .*(?:permission|401"
        r"|403)|COMET_API_KEY|NEPTUNE_API_TOKEN",
        "wandb sdk/wandb_login.py; comet; neptune",
        where=Where.EXCEPTION,
        remedy="The experiment tracker has no key: add the secret WANDB_API_KEY, or set report_to to none or trackio.",
    ),
    says(
        Reason.BAD_ARGUMENT,
        r"^IndexError: index out of range in self",
        "torch nn/functional.py: embedding, on a CPU; a GPU calls it a device-side assert",
        where=Where.EXCEPTION,
        weight=Weight.POINTS,
        frames=r"embedding|sparse\.py",
        remedy="A token id is beyond the embeddings: take the model's own tokenizer, or resize the embeddings after "
        "adding tokens; positions beyond the model's longest sequence show so too (lower max_length).",
    ),
    says(
        Reason.BAD_ARGUMENT,
        r"^KeyError: '(?P<what>[A-Z][A-Z0-9_]+)'",
        "python os.environ",
        where=Where.EXCEPTION,
        weight=Weight.POINTS,
        frames=r"environ",
        remedy="The script wants {what} in its environment: give it in env or, if nobody may see it, in secrets.",
    ),
    says(
        Reason.BAD_ARGUMENT,
        r"(?:global )?(?:train )?batch size .*(?:divisible|multiple)|^(?:Value|Assertion)Error: .*num_generations"
        r"|must be (?:evenly )?divisible|should be divisible|is not divisible by",
        "trl grpo_trainer.py, grpo_config.py; transformers",
        where=Where.EXCEPTION,
        weight=Weight.POINTS,
        remedy="Make per_device_train_batch_size × processes × gradient_accumulation_steps a multiple of the numb"
        "er that "
        "the evidence names.",
    ),
    says(
        Reason.BAD_ARGUMENT,
        r"`?(?:padding_free|packing|max_length|max_seq_length|assistant_only_loss|completion_only_loss"
        r"|dataset_text_field|eos_token|pad_token|load_best_model_at_end|metric_for_best_model|save_steps|eval_steps|eval_strategy"
        r"|save_strategy|"
        r"evaluation_strategy|lr_scheduler_type|optim|gradient_accumulation_steps|max_steps|num_train_epochs"
        r"|learning_rate|warmup_\w+|logging_steps|push_to_hub|hub_model_id|"
        r"eval_dataset|train_dataset|attn_implementation|torch_dtype|report_to|fsdp|use_liger_kernel"
        r"|gradient_checkpointing\w*|output_dir)`?\b.*(?:must|should|requires?|not enforced|cannot|can't|is not"
        r"|isn't|need|only|unexpected|invalid|"
        r"without|both|overwrite|but)",
        "trl sft_trainer.py, sft_config.py; transformers training_args.py, trainer.py",
        where=Where.EXCEPTION,
        weight=Weight.POINTS,
        frames=r"trl|transformers|accelerate|peft|training_args|Trainer|Config\(|Arguments\(|parse",
    ),
    says(
        Reason.BAD_ARGUMENT,
        r"is not a valid \w+, please select one of|ValidationError: \d+ validation errors?|is not (?:a )?(?:valid"
        r"|supported) (?:optimizer|scheduler|attention|value)|Invalid (?:value|choice|option|argument) for"
        r"|--load_best_model_at_end requires|could not convert string to (?:float|int)|yaml\.\S*Error|(?:Scanner"
        r"|Parser|Constructor)Error|Can't instantiate .* with|Unknown (?:optimizer|scheduler|argument)"
        r"|omegaconf\.\S+|hydra\.errors|Output directory \(.*\) already exists|Can't find a valid checkpoint at"
        r"|No valid checkpoint found|You cannot perform fine-tuning on purely quantized models"
        r"|Asking to pad but the tokenizer does not have a padding token|no padding token is defined"
        r"|StrictDataclass\w*Error|Too many open files|You can't (?:train|move|pass) "
        r"|does not support (?:Flash ?Attention"
        r"|an attention implementation|SDPA|gradient checkpointing)"
        r"|Error\(s\) in loading state_dict for|size mismatch for \S+: copying a param"
        r"|Only Tensors of floating point and complex dtype can require gradients"
        r"|does not require grad and does not have a grad_fn|utils\.checkpoint\.CheckpointError",
        "transformers utils/generic.py: ExplicitEnum, trainer.py; pydantic; pyyaml; torch autograd",
        where=Where.EXCEPTION,
        weight=Weight.POINTS,
    ),
    says(
        Reason.BAD_ARGUMENT,
        r"(?:longer than the (?:model's )?maximum|int too big to convert|exceeds? the (?:model's )?(?:maximum|max)"
        r"|larger than the maximum) (?:context|sequence|length|position)|max_position_embeddings",
        "transformers; vllm; tokenizers, where the tokenizer knows no longest sequence",
        where=Where.EXCEPTION,
        weight=Weight.POINTS,
        remedy="Set max_length to no more than the model's positions.",
    ),
)
