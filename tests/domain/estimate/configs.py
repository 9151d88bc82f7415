"""config.json of real models, as the Hub has them, cut to what describes the shape; and the parameters that the classes of
transformers 5.24 and the adapters that peft 0.21 (`all-linear`, r = 8) have for them, counted on the meta device."""
