"""How a model that a run has published is used: a few lines of Python, a download, an Inference Endpoint."""

from service.domain.use.show import use_of

__all__ = ["use_of"]
