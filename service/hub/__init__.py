"""Everything Hugging Face. `huggingface_hub` is imported below this package only."""

import os

# Read by huggingface_hub when it is imported: no token is ever taken from the environment or a cache folder, a call
# carries the one it was given (its `_headers.py` and `_auth.py`); and nothing is reported home.
os.environ["HF_HUB_DISABLE_IMPLICIT_TOKEN"] = "1"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
