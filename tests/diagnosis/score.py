"""How many cases are diagnosed right: `python -m tests.diagnosis.score`."""

from __future__ import annotations

from collections import Counter

from tests.diagnosis.cases import Case, cases

# Stated confidences from each of these up to the next are one row.
BUCKETS = (0.0, 0.5, 0.65, 0.8, 0.9)


def main() -> None:
    """Print each wrong case, the share of right ones among those that rules were written for, those that were mended
    after a first trial and those that never were, and how
    often a diagnosis was right for the confidence it stated."""
    right: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for case in cases():
        found = case.diagnose()
        is_right = case.is_right(found)
        at_least = max(bucket for bucket in BUCKETS if bucket <= found.confidence)
        lot = "blind" if case.is_blind else "held out" if case.is_held_out else "open"
        for part in (lot, f"confidence from {at_least:.2f}"):
            total[part] += 1
            right[part] += is_right
        if not is_right:
            print(f"{case.name}: {found.cause} ({found.retry}, {found.confidence}) for {_wanted(case)}")
            print(f"    {found.evidence}")
    for part in sorted(total, reverse=True):
        print(f"{part}: {right[part]} of {total[part]} right, {right[part] / total[part]:.0%}")


def _wanted(case: Case) -> str:
    return f"{' or '.join(case.causes)} {case.retry or ''}".strip()


if __name__ == "__main__":
    main()
