"""How fast a run goes on when nothing holds it: `python -m benchmarks.latency [--postgres]`.

Runs are sent one at a time to a service with free slots: measured is from the answer 201 to the moment when the create
call arrives at Hugging Face (the sandbox), and from a job's end there to the moment when the letter arrives at a
receiver. Jobs end at random moments, so that the second holds a whole poll interval at worst.
"""

from __future__ import annotations

import argparse
import random
import time
from statistics import median

from benchmarks.installation import Installation, installation, until
from benchmarks.report import Report, percentile
from tests.receiver import Letter, Receiver

POLL_SECONDS = 1.0
SFT = {
    "recipe": {
        "kind": "trl_sft",
        "model_name_or_path": "sandbox/tiny-llama",
        "dataset_name": "sandbox/tiny-chat",
        "args": {"max_steps": 10},
    },
    "output_repo": "acme/model",
    "flavor": "a10g-small",
    "force": True,
}


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.latency", description=__doc__)
    parser.add_argument("--postgres", action="store_true", help="on a throw-away PostgreSQL instead of SQLite")
    parser.add_argument("--runs", type=int, default=100)
    given = parser.parse_args()
    report = Report("latency", f"python -m benchmarks.latency{' --postgres' if given.postgres else ''}")
    settings = {"TUNEGATE_POLL_SECONDS": str(POLL_SECONDS), "TUNEGATE_MAX_CONCURRENT_RUNS": "10000"}
    with Receiver() as receiver, installation(on_postgres=given.postgres, **settings) as place:
        arrived: dict[str, float] = {}

        def note(letter: Letter) -> tuple[int, dict[str, str]]:
            arrived.setdefault(letter.json["data"]["id"], time.time())
            return 204, {}

        receiver.answer = note
        place.service("POST", "/webhooks", {"url": receiver.url, "events": ["run.succeeded"], "team": "research"})
        sent = _send(place, given.runs)
        until(lambda: len(arrived) == given.runs, 60)
        created = {call.run_id: call.at for call in place.sandbox.calls if call.kind == "create"}
        ended = {
            job.labels["tunegate-run"]: job.finished_at.timestamp()
            for job in place.sandbox.jobs.newest_first()
            if job.finished_at is not None
        }
    to_create = sorted((created[run_id] - at) * 1000 for run_id, at in sent.items())
    to_letter = sorted((arrived[run_id] - ended[run_id]) * 1000 for run_id in sent)
    report.goal("201 to create call: p50", median(to_create), "ms", at_most=50)
    report.goal("201 to create call: p99", percentile(to_create, 99), "ms", at_most=200)
    report.figure("job's end to webhook: p50", median(to_letter), "ms")
    report.goal("job's end to webhook: p99", percentile(to_letter, 99), "ms", at_most=POLL_SECONDS * 1000 + 150)
    report.write()


def _send(place: Installation, runs: int) -> dict[str, float]:
    """Runs one after the other; when each was answered."""
    draw = random.Random(1)
    sent = {}
    for _ in range(runs):
        run_id = place.submit(env={"SANDBOX_RUN_SECONDS": f"{draw.uniform(1, 3):.3f}"})
        sent[run_id] = time.time()
        time.sleep(draw.uniform(0.1, 0.3))
    return sent


if __name__ == "__main__":
    main()
