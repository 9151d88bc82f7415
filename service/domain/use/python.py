"""The lines of Python that load a model and let it answer (transformers 5.23, peft 0.21)."""

from __future__ import annotations

PROMPT = "Who are you?"
HOW = 'dtype="auto", device_map="auto"'


def of_model(repo: str, revision: str, has_template: bool) -> str:
    """For a whole model."""
    return "\n".join(
        (
            "from transformers import pipeline",
            "",
            f'generate = pipeline("text-generation", model="{repo}", revision="{revision}", {HOW})',
            _ask(has_template),
        )
    )


def of_adapter(repo: str, revision: str, base: str | None, base_revision: str | None, has_template: bool) -> str:
    """For an adapter; where its base model is not known here, peft reads of it in the adapter's configuration."""
    at = f'"{repo}", revision="{revision}"'
    if base is None:
        loading = [
            "from peft import AutoPeftModelForCausalLM",
            "from transformers import AutoTokenizer, pipeline",
            "",
            f"model = AutoPeftModelForCausalLM.from_pretrained({at}, {HOW})",
        ]
    else:
        pinned = f'"{base}"' if base_revision is None else f'"{base}", revision="{base_revision}"'
        loading = [
            "from peft import PeftModel",
            "from transformers import AutoModelForCausalLM, AutoTokenizer, pipeline",
            "",
            f"base = AutoModelForCausalLM.from_pretrained({pinned}, {HOW})",
            f"model = PeftModel.from_pretrained(base, {at})",
        ]
    made = [
        f"tokenizer = AutoTokenizer.from_pretrained({at})",
        'generate = pipeline("text-generation", model=model, tokenizer=tokenizer)',
    ]
    return "\n".join((*loading, *made, _ask(has_template)))


def _ask(has_template: bool) -> str:
    if not has_template:
        return f'print(generate("{PROMPT}", max_new_tokens=128, do_sample=False)[0]["generated_text"])'
    chat = f'[{{"role": "user", "content": "{PROMPT}"}}]'
    return f'print(generate({chat}, max_new_tokens=128, do_sample=False)[0]["generated_text"][-1]["content"])'
