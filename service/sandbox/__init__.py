"""A local server that speaks the Hugging Face Jobs and Hub protocols and really executes what it is given."""
