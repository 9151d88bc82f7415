"""A job's server-sent events: its log, the use of its machine, its changes of stage.

Log frames are `data: {"timestamp": …, "data": line}` and every connection gets the same frames from the start, because
huggingface_hub tells old from new by counting them. JSON is kept ASCII: the client splits lines as Python does, so a
bare U+2028 or U+0085 would tear a frame.
"""

from __future__ import annotations

import json
from typing import Any

from service.sandbox.hardware import FLAVORS
from service.sandbox.jobs import Job
from service.sandbox.wire import LogStream, timestamp


def first_position(job: Job, stream: LogStream) -> int:
    """Where a new reader begins: at the start, or `tail` lines before the end."""
    if stream.kind == "logs" and stream.tail is not None:
        return max(0, len(job.log) - stream.tail)
    return 0


def frames_from(job: Job, stream: LogStream, position: int) -> list[bytes]:
    """The frames that a reader at `position` has not had; for metrics always one, the present."""
    if stream.kind == "metrics":
        return [] if job.is_terminal else [b"event: metric\n" + _frame(_metrics(job))]
    if stream.kind == "events":
        return [
            b"event: status\n" + _frame({"timestamp": timestamp(at), "status": status})
            for at, status in job.history[position:]
        ]
    return [_frame({"timestamp": timestamp(line.at), "data": line.text}) for line in job.log[position:]]


def _metrics(job: Job) -> dict[str, Any]:
    flavor = FLAVORS[job.spec.flavor]
    return {
        "cpu_usage_pct": round(job.usage.cpu_millicores / flavor.cpu_cores / 10),
        "cpu_millicores": flavor.cpu_cores * 1000,
        "memory_used_bytes": job.usage.memory_bytes,
        "memory_total_bytes": int(flavor.memory_gib * 2**30),
        "rx_bps": 0,
        "tx_bps": 0,
        "gpus": {
            str(index): {
                "utilization": 100 if job.usage.gpu_memory_bytes else 0,
                "memory_used_bytes": job.usage.gpu_memory_bytes,
                "memory_total_bytes": int(flavor.gpu_memory_gb * 2**30),
            }
            for index in range(flavor.gpus)
        },
        "replica": job.id[-5:],
    }


def _frame(value: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(value, separators=(",", ":")).encode() + b"\n\n"
