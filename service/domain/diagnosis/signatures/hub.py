"""Hugging Face's answers. After training, `classify` makes `push_failed` of each of them."""

from __future__ import annotations

from service.domain.diagnosis.retry import Retry
from service.domain.diagnosis.signature import Weight, Where, says
from service.domain.run import Reason

HUB = (
    says(
        Reason.PUSH_FAILED,
        r"/api/spaces/|/api/repos/create|HfHubHTTPError|HTTPError|RepositoryNotFoundError|BadRequestError"
        r"|trackio.*space",
        "trackio deploy.py: create_space_if_not_exists, at the first push",
        where=Where.EXCEPTION,
        frames=r"trackio/deploy\.py|trackio/__init__\.py.*deploy",
        remedy="It is trackio's Space that could not be made, not the model: give trackio_space_id a name that th"
        "e job's "
        "token may create, or switch its static Space off in a config file (trackio_static_space_id: false; on the "
        "command line the word False is taken for a name), or set report_to none.",
    ),
    says(
        Reason.PUSH_FAILED,
        r"Bad request for commit endpoint|400 Client Error: Bad Request for url: \S+/(?:commit|preupload)/"
        r"|Invalid metadata in README\.md|storage (?:limit|quota) (?:reached"
        r"|exceeded)|exceeded your .*storage"
        r"|The model card.*(?:invalid|not valid)|pre-receive hook declined|failed to push some refs"
        r"|Your push was rejected"
        r"|A commit has happened since|412 (?:Client Error|Precondition)|413 (?:Client Error|Payload)"
        r"|error: failed to push|LFS file .*(?:too large|not found)|File too large",
        "huggingface_hub hf_api.py: create_commit; Hub's answers to a commit; git",
        remedy="The Hub refused the commit itself: the evidence names the model card's field or the storage limit"
        " to mend.",
    ),
    says(
        Reason.BAD_ARGUMENT,
        r"409 (?:Client Error: )?Conflict for url: \S+/api/repos/create"
        r"|Client error '409 \w+' for url '\S+/api/repos/create"
        r"|You already created this (?:model|dataset|space) repo",
        "huggingface_hub hf_api.py: create_repo without exist_ok",
        remedy="The repository exists already: choose another name, or pass exist_ok=True where the script makes it.",
    ),
    says(
        Reason.NO_CREDITS,
        r"402 (?:Client Error|Payment Required)|Client error '402|Pre-paid credit balance is insufficient"
        r"|exceeded your (?:monthly )?included credits"
        r"|insufficient credits?|Payment Required",
        "Hub answers to POST /api/jobs and inference calls",
    ),
    says(
        Reason.HUB_AUTH,
        r"401 (?:Client Error|Unauthorized)|Client error '401|status client error \(401|Invalid user token"
        r"|Invalid username or password"
        r"|Invalid credentials in Authorization header|LocalTokenNotFoundError|Token is required"
        r"|Invalid token passed|no token found"
        r"|(?:access )?token .*(?:is|has) expired|OAuth token expired|You must be (?:logged in|authenticated)"
        r"|Not logged in|URL returned error: 401"
        r"|401 Client Error.*Repository Not Found for url: \S+/(?:preupload|commit)/",
        "huggingface_hub utils/_http.py, _login.py, utils/_headers.py; hf_xet",
        weight=Weight.POINTS,
    ),
    says(
        Reason.HUB_FORBIDDEN,
        r"403 (?:Client Error|Forbidden)|Client error '403|status client error \(403"
        r"|You don't have the rights to create"
        r"|Make sure your token has the correct permissions|You are not authorized to|Cannot access content at"
        r"|don't have write access"
        r"|Repository Not Found for url: \S+/(?:api/repos/create|preupload/|commit/)|URL returned error: 403"
        r"|Access to this resource is disabled"
        r"|not allowed to (?:create|write|push)"
        r"|does not allow writing|use a write token",
        "huggingface_hub utils/_http.py: hf_raise_for_status",
        weight=Weight.POINTS,
    ),
    says(
        Reason.HUB_UNAVAILABLE,
        r"429 (?:Client Error|Too Many Requests)|Client error '429|status client error \(429|We had to rate limit"
        r"|rate limit\. ?$|you have reached your '\w+' rate limit",
        "Hub rate limits; huggingface_hub utils/_http.py",
        weight=Weight.POINTS,
        remedy="Hugging Face limits how often it may be asked: submit again later; with many processes let one do"
        "wnload "
        "first, and make sure that a token is set.",
    ),
    says(
        Reason.HUB_UNAVAILABLE,
        r"URL returned error: 5\d\d"
        r"|\b5\d\d (?:Server Error|Internal Server Error|Bad Gateway|Service Unavailable|Gateway Time-?out)"
        r"|Server error '5\d\d|status server error \(5\d\d"
        r"|We couldn't connect to 'https?://|Couldn't reach |OfflineModeIsEnabled|LocalEntryNotFoundError"
        r"|IncompleteSnapshotError|RevisionResolutionError"
        r"|An error happened while trying to locate the file on the Hub"
        r"|There was a specific connection error when trying to load"
        r"|Cannot find the requested files in the (?:disk|local) cache"
        r"|Consistency check failed: file should be of size|Distant resource does not|FileMetadataError"
        r"|An error occurred while downloading using `hf_transfer`"
        r"|host='(?:[\w.-]+\.)?(?:huggingface\.co|hf\.co)'.*(?:timed out|Max retries|NewConnectionError|NameResolution)"
        r"|Cannot reach https?://",
        "huggingface_hub utils/_http.py, file_download.py; transformers utils/hub.py; datasets load.py",
        weight=Weight.POINTS,
    ),
    says(
        Reason.HUB_UNAVAILABLE,
        r"Temporary failure in name resolution|Name or service not known|Failed to resolve '[\w.-]+'"
        r"|NameResolutionError|getaddrinfo failed|nodename nor servname|Network is unreachable|No route to host",
        "socket, urllib3, httpx: a network that is not there; what is raised while that is handled says less",
        where=Where.EXCEPTION,
        frames=r"huggingface_hub|transformers/|datasets/|from_pretrained|load_dataset|snapshot_download|push_to_hub",
    ),
    says(
        Reason.HUB_UNAVAILABLE,
        r"CAS service error|Data processing error: (?!.*(?:No space|os error 28|quota))|ReqwestMiddleware"
        r"|Reqwest Error|xet.*(?:timed? ?out|request failed)",
        "hf_xet (xet-core): data and cas_client",
        weight=Weight.POINTS,
        remedy="Xet, the Hub's storage, failed: submit again; HF_HUB_DISABLE_XET=1 takes the older way.",
    ),
    says(
        Reason.HUB_UNAVAILABLE,
        r"ReadTimeout|ConnectTimeout|(?:Read|Connect|Write|Pool)Timeout|Read timed out|Connection timed out"
        r"|Max retries exceeded|NameResolutionError"
        r"|Temporary failure in name resolution|Name or service not known|nodename nor servname"
        r"|getaddrinfo failed|RemoteProtocolError"
        r"|ChunkedEncodingError|IncompleteRead|SSLError|SSL: |ProtocolError|Server disconnected"
        r"|ClientConnectorError|ServerDisconnectedError"
        r"|ClientPayloadError|(?:requests|httpx2?|httpcore2?|urllib3|aiohttp)\.\S*(?:ConnectionError|ConnectError"
        r"|ReadError)|Connection aborted"
        r"|Network is unreachable|No route to host|\[Errno 104\]|\[Errno 110\]|\[Errno 111\]|Connection refused"
        r"|TimeoutError",
        "requests, urllib3, httpx, aiohttp; errno 104, 110, 111",
        where=Where.EXCEPTION,
        weight=Weight.HINTS,
        frames=r"requests|urllib3|httpx|httpcore|aiohttp|huggingface|hf_|transformers|datasets|fsspec"
        r"|from_pretrained|load_dataset|download|push|upload",
        retry=Retry.SAME,
    ),
)
