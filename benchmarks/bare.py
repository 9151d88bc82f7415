"""The reference of every figure about requests: a bare FastAPI that reads a body of fifteen fields and sends it back,
on uvicorn with uvloop and httptools, without a database: `python -m benchmarks.bare PORT`."""

from __future__ import annotations

import sys

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

app = FastAPI(openapi_url=None)


class Body(BaseModel):
    """About what a request for a run has."""

    team: str
    kind: str
    model: str
    dataset: str
    flavor: str
    timeout: str
    namespace: str
    output_repo: str
    learning_rate: float
    batch_size: int
    max_steps: int
    priority: int
    seed: int
    labels: dict[str, str]
    env: dict[str, str]


BODY = {
    "team": "research",
    "kind": "trl_sft",
    "model": "HuggingFaceTB/SmolLM3-3B-Base",
    "dataset": "HuggingFaceTB/smoltalk2_everyday_convs_think",
    "flavor": "a10g-large",
    "timeout": "2h",
    "namespace": "acme",
    "output_repo": "acme/smollm3-sft",
    "learning_rate": 5e-5,
    "batch_size": 4,
    "max_steps": 1000,
    "priority": 50,
    "seed": 1,
    "labels": {"project": "support-bot"},
    "env": {},
}


@app.post("/echo")
async def echo(body: Body) -> Body:
    """The same again."""
    return body


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), http="httptools", loop="uvloop", log_level="warning")
