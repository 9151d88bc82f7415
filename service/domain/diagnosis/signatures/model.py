"""Loading a model or its tokenizer."""

from __future__ import annotations

from service.domain.diagnosis.signature import Weight, Where, says
from service.domain.run import Reason

GATED = (
    "Open the page of {what}, accept its licence with the account whose token the jobs get (TUNEGATE_JOB_HF_TOKEN"
    "), then "
    "submit again."
)
MODEL = (
    says(
        Reason.GATED_MODEL,
        r"You are trying to access a gated repo|is a gated repository|Cannot access gated repo for url|GatedRepoError"
        r"|Access to model \S+ is restricted|is (?:currently )?(?:restricted|gated).*(?:authorized list"
        r"|awaiting a review|ask for access)"
        r"|Your request to access model \S+ (?:is awaiting|has been rejected)|you are not in the authorized list",
        "huggingface_hub utils/_http.py GatedRepo; transformers utils/hub.py",
        detail=r"(?:access model|Access to model|huggingface\.co/)\s?(?P<what>[\w.-]+/[\w.-]*\w)",
        remedy=GATED,
    ),
    says(
        Reason.GATED_MODEL,
        r"Dataset '[^']+' is a gated dataset|Access to dataset \S+ is restricted"
        r"|Cannot access gated repo for url \S+/datasets/"
        r"|is a gated dataset on the Hub",
        "datasets load.py: dataset_module_factory",
        detail=r"(?P<what>[\w-]+/[\w.-]*\w)",
        remedy=GATED,
    ),
    says(
        Reason.MODEL_NOT_FOUND,
        r"is not a local folder (?:and is not a valid model identifier|or a valid repository name)"
        r"|is not a valid git identifier"
        r"|Can't find a (?:vocabulary )?file at path|Incorrect path_or_model_id"
        r"|^Repo id must (?:be in the form|use alphanumeric)|HFValidationError",
        "transformers utils/hub.py: cached_files; huggingface_hub utils/_validators.py",
    ),
    says(
        Reason.MODEL_NOT_FOUND,
        r"does not appear to have (?:a file|files) named|Error no file named"
        r"|Can't load (?:tokenizer|the (?:configuration|model)|config|feature extractor|processor|image processor)"
        r"|Couldn't load (?:the )?(?:tokenizer|model)|Can't find '?adapter_config\.json|Unrecognized model in"
        r"|Should have a `model_type` key|but couldn't find .* in the cached files|Can't find a checkpoint index"
        r"|Neither a state dict nor checkpoint files were found|the config file at .* is not a valid JSON"
        r"|Unable to load vocabulary from file",
        "transformers modeling_utils.py, tokenization_utils_base.py, auto/configuration_auto.py; peft config.py",
        where=Where.EXCEPTION,
    ),
    says(
        Reason.MODEL_NOT_FOUND,
        r"(?:Error while deserializing header|SafetensorError(?!: Error while serializ))(?!.*(?:No space|os error 28))"
        r"|HeaderTooLarge|MetadataIncompleteBuffer|invalid load key"
        r"|PytorchStreamReader failed (?:reading|locating)|failed finding central directory"
        r"|unexpected EOF, expected \d+ more bytes"
        r"|Unable to load weights from pytorch checkpoint file|SafetensorsParsingError"
        r"|safetensors archive passed at .* does not contain the valid metadata",
        "safetensors; torch serialization.py: a checkpoint that is cut off or no checkpoint",
        where=Where.EXCEPTION,
        weight=Weight.POINTS,
        remedy="A file of the model is damaged or no weights at all (a Git LFS pointer): upload it again, or take"
        " another "
        "revision.",
    ),
    says(
        Reason.MODEL_NOT_FOUND,
        r"(?:Repository|Revision|Entry) Not Found for url: "
        r"(?!\S*(?:/datasets/|/spaces/|/api/repos/create|/preupload/|/commit/))"
        r"|404 (?:Client Error: )?Not Found for url: (?!\S*(?:/datasets/|/spaces/))\S+/(?:resolve|api/models)/"
        r"|Client error '404 Not Found' for url '(?!\S*(?:/datasets/|/spaces/))\S+/(?:resolve|api/models)/",
        "huggingface_hub utils/_http.py: RepositoryNotFoundError, EntryNotFoundError, RevisionNotFoundError",
        weight=Weight.POINTS,
    ),
)
