"""Finding a dataset, reading it, and fitting it to the training."""

from __future__ import annotations

from service.domain.diagnosis.signature import Weight, Where, says
from service.domain.run import Reason

NAME = r"[Dd]ataset '?(?P<what>[\w.-]+/[\w.-]+)'?"
COLUMNS = (
    "The column {what} is not in the dataset: name the columns messages, text, or prompt and completion, or set "
    "dataset_text_field."
)
DATA = (
    says(
        Reason.DATASET_NOT_FOUND,
        r"DatasetNotFoundError|doesn't exist on the Hub or cannot be accessed|Couldn't find (?:a dataset script"
        r"|any data file) at"
        r"|Dataset '\S+' doesn't exist on the Hub|Repository Not Found for url: \S+datasets/"
        r"|Couldn't find '\S+' on the Hugging Face Hub"
        r"|Revision Not Found for url: \S+datasets/|Couldn't find (?:a )?(?:dataset|file) (?:at|with)",
        "datasets load.py: dataset_module_factory, exceptions.py; huggingface_hub RepositoryNotFoundError",
        detail=NAME,
        remedy="Correct the dataset's id ({what}); for a private or gated one the job's token needs access.",
    ),
    says(
        Reason.DATASET_NOT_FOUND,
        r"Unable to find '[^']*(?:\.(?:jsonl?|csv|parquet|txt|arrow)|data)|FileNotFoundError: \S*hf://datasets/"
        r"|Directory \S+ is neither a `?Dataset`? directory",
        "datasets data_files.py: resolve_pattern, load_from_disk",
        where=Where.EXCEPTION,
    ),
    says(
        Reason.DATASET_FORMAT,
        r"EmptyDatasetError|doesn't contain any data files|No \(supported\) data files found"
        r"|num_samples should be a positive integer"
        r"|The (?:train )?dataset is empty|Dataset is empty|no (?:examples|samples) (?:left|remain)"
        r"|Instruction \"?\w+\"? corresponds to no data"
        r"|does not contain any (?:rows|examples)",
        "datasets data_files.py; torch utils/data/sampler.py",
        remedy="The dataset has no rows: check its split, its files, and filters in the script.",
    ),
    says(
        Reason.DATASET_FORMAT,
        r"DatasetGenerationCastError|CastError: Couldn't cast|All the data files must have the same columns"
        r"|because column names don't match"
        r"|ArrowInvalid|ArrowTypeError|ArrowNotImplementedError|ParserError: Error tokenizing data"
        r"|JSON parse error|Schema at index \d+ was different"
        r"|JSONDecodeError|Failed to (?:read|parse) file|NonMatchingSplitsSizesError"
        r"|Parquet magic bytes not found|UnicodeDecodeError"
        r"|The features can't be aligned|Features .*must match",
        "datasets exceptions.py, table.py, info_utils.py; pyarrow; pandas",
        where=Where.EXCEPTION,
        weight=Weight.POINTS,
        frames=r"datasets|pandas|pyarrow|load_dataset|jsonl?\b|read_|data",
    ),
    says(
        Reason.DATASET_FORMAT,
        r"DatasetGenerationError|An error occurred while generating the dataset",
        "datasets builder.py: its cause stands above it",
        where=Where.EXCEPTION,
        weight=Weight.HINTS,
    ),
    says(
        Reason.DATASET_FORMAT,
        r"Dataset scripts are no longer supported",
        "datasets 4 load.py",
        detail=r"found (?P<what>\S+)",
        remedy="The dataset is a Python script ({what}), which datasets 4 does not run: use its Parquet version ("
        "revision "
        "refs/convert/parquet), or pin datasets<4.",
    ),
    says(
        Reason.DATASET_FORMAT,
        r"Unknown split \"?(?P<what>[\w-]+)|Config name is missing|BuilderConfig '?[^']+'? not found|Bad split: "
        r"|FeatureNotFound|Feature type '\w+' not found|Should be one of \[(?:'train'|'test'|'validation')",
        "datasets arrow_reader.py, builder.py, features/features.py",
        remedy="Name a split and a configuration that the dataset has (dataset_train_split, dataset_config): the "
        "evidence "
        "lists them. `Feature type … not found` needs a newer datasets.",
    ),
    says(
        Reason.DATASET_FORMAT,
        r"^KeyError: ['\"](?:train|test|validation|eval|dev|default)['\"]",
        "datasets dataset_dict.py: __getitem__",
        where=Where.EXCEPTION,
        weight=Weight.POINTS,
        frames=r"dataset|split|\bds\[|data\[",
        remedy="The dataset has no such split: set dataset_train_split, or turn evaluation off.",
    ),
    says(
        Reason.DATASET_FORMAT,
        r"^KeyError: ['\"](?P<what>[\w ]+)['\"]",
        "datasets formatting.py; trl data_utils.py, sft_trainer.py",
        where=Where.EXCEPTION,
        weight=Weight.POINTS,
        frames=r"datasets/(?:formatting|arrow_dataset|iterable_dataset)|data_utils|tokenize|example\[|examples\["
        r"|row\[|sample\[|feature\[|data_collator|formatting_func"
        r"|\b(?:ex|entry|item|record|turn|data_?point|messages?|conversations?|dialog\w*)\["
        r"|, in (?:convert|format|preprocess|collate)_?\w*\n",
        remedy=COLUMNS,
    ),
    says(
        Reason.DATASET_FORMAT,
        r"Columns? (?:names? |to remove )?\[?['\"]?(?P<what>\w+)['\"]?\]? (?:not in|doesn't exist)"
        r"|Columns? \[[^\]]+\] not in the dataset"
        r"|No columns in the dataset match the model's forward method|dataset_text_field|Column '\w+' doesn't exist"
        r"|The dataset (?:must|should) (?:contain|have)|dataset (?:does not|doesn't) (?:contain"
        r"|have) (?:a )?(?:column|'\w+')"
        r"|Unknown format for(?: the)? (?:dataset|example)|Invalid (?:format|keys) in the example"
        r"|mixed? .*conversational"
        r"|only compatible with (?:prompt-completion|conversational)|requires? (?:a )?(?:prompt-completion"
        r"|conversational|language modeling) dataset",
        "datasets arrow_dataset.py; transformers trainer.py: _remove_unused_columns; trl data_utils.py",
        where=Where.EXCEPTION,
        weight=Weight.POINTS,
    ),
    says(
        Reason.DATASET_FORMAT,
        r"TemplateError|roles must alternate|UndefinedError|System role not supported|TemplateSyntaxError"
        r"|Only user,? (?:and )?assistant,? .*roles are supported|raise_exception",
        "jinja2 through transformers utils/chat_template_utils.py",
        where=Where.EXCEPTION,
        remedy="The chat template of the model refused a conversation: roles must alternate as it wants, content "
        "must be "
        "text; correct the data or set chat_template_path.",
    ),
    says(
        Reason.DATASET_FORMAT,
        r"chat_template is not set|does not have a chat template|no (?:default )?chat template"
        r"|Cannot use (?:chat template functions|apply_chat_template)"
        r"|chat template .*(?:\{% generation %\}|generation keyword)|return_assistant_tokens_mask.*generation",
        "transformers tokenization_utils_base.py: get_chat_template; trl sft_trainer.py: assistant_only_loss",
        remedy="A base model has no chat template: set chat_template_path to an instruct model of its family, or "
        "give the "
        "data as text.",
    ),
    says(
        Reason.DATASET_FORMAT,
        r"Unable to create tensor, you should probably|too many dimensions 'str'|excessive nesting"
        r"|did not return a loss from the inputs"
        r"|text input must (?:be )?of type|TextEncodeInput must be Union|You must specify exactly one of input_ids"
        r"|expected sequence of length \d+"
        r"|Could not infer dtype of|all input arrays must have the same shape"
        r"|stack expects each tensor to be equal size"
        r"|Expected input batch_size \(\d+\) to match target|argument 'ids': 'list' object cannot be"
        r"|default_collate: batch must contain"
        r"|You need to specify either `text` or `text_target`|UnidentifiedImageError|cannot identify image file"
        r"|LibsndfileError|Format not recognised|Failed to decode|Invalid data found when processing input"
        r"|BadZipFile|BadGzipFile|Compressed file ended",
        "transformers tokenization_utils_base.py, trainer.py; tokenizers; torch collate",
        where=Where.EXCEPTION,
        weight=Weight.POINTS,
    ),
)
