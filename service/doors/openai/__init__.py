"""OpenAI's fine-tuning and files API, as the `openai` package speaks it."""
