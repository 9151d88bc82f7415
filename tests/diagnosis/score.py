"""How many cases are diagnosed right: `python -m tests.diagnosis.score`."""

from __future__ import annotations

from collections import Counter

from tests.diagnosis.cases import cases


def main() -> None:
    """Print each wrong case, and the share of right ones among those that rules were written for and the others."""
    right: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for case in cases():
        part = "held out" if case.is_held_out else "open"
        found = case.diagnose()
        total[part] += 1
        right[part] += case.is_right(found)
        if not case.is_right(found):
            print(
                f"{case.name}: {found.cause} ({found.retry}, {found.confidence}) for {case.causes} {case.retry or ''}"
            )
            print(f"    {found.evidence}")
    for part, count in total.items():
        print(f"{part}: {right[part]} of {count} right, {right[part] / count:.0%}")


if __name__ == "__main__":
    main()
