"""What may keep an installation from working, looked at from the operator's machine: each finding with its remedy."""

from service.doctor.finding import Finding, examine

__all__ = ["Finding", "examine"]
