"""Everything Hugging Face. `huggingface_hub` is imported below this package only."""

import logging
import os

# Read by huggingface_hub when it is imported, so they are set before. No token is ever taken from the environment or a
# cache folder: a call carries the one it was given (its `_headers.py` and `_auth.py`). Nothing is reported home. And it
# does not debug itself: its log of a request hides the token, but not the secrets of a job (`_http.py: _curlify`).
os.environ["HF_HUB_DISABLE_IMPLICIT_TOKEN"] = "1"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
os.environ["HF_DEBUG"] = "0"
os.environ["HF_HUB_VERBOSITY"] = "warning"

import huggingface_hub.utils.logging  # noqa: F401

# Its own handler would write plain lines beside ours, with whatever the other side put into a header.
logging.getLogger("huggingface_hub").handlers.clear()
logging.getLogger("huggingface_hub").setLevel(logging.NOTSET)
