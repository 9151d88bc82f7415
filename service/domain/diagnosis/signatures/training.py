"""What the training says of itself when it breaks off."""

from __future__ import annotations

from service.domain.diagnosis.signature import Weight, Where, says
from service.domain.run import Reason

TRAINING = (
    says(
        Reason.NAN_LOSS,
        r"probability tensor contains either `?inf`?, `?nan`?|(?:loss|gradients?|grad norm|logits) (?:is|are"
        r"|became|has become|contains?) (?:nan|inf|not finite|non-finite)|NaN (?:loss|detected|or Inf found)"
        r"|non-finite,? so it cannot be clipped|Function '\w+' returned nan values|nan values? in"
        r"|Input contains NaN|loss is (?:nan|inf)"
        r"|Current loss scale already at minimum|Minimum loss scale reached|loss is probably exploding"
        r"|FloatingPointError: .*(?:loss|gradient)",
        "torch multinomial, utils/clip_grad.py, autograd anomaly mode; deepspeed loss scaler",
        where=Where.EXCEPTION,
        weight=Weight.POINTS,
    ),
    says(
        Reason.JOB_TIMEOUT,
        r"\bJob (?:has )?timed? ?out\b|DeadlineExceeded|TIME LIMIT|^(?:timeout|timed out)[.!]?$"
        r"|\b(?:job|run|execution|script)(?: \w+){0,3} (?:timed out|timeout|time ?limit"
        r"|maximum (?:duration|time|runtime))"
        r"|\b(?:job|run|execution|script) (?:execution |run )?time exceeded"
        r"|\b(?:terminated|killed|stopped|cancell?ed|ended)(?: \w+){1,3} (?:timeout|time ?limit)"
        r"|was active on the node longer than the specified deadline",
        "Hugging Face Jobs status; kubelet",
        where=Where.LINE,
        weight=Weight.POINTS,
    ),
    says(
        Reason.DATASET_FORMAT,
        r"AttributeError: 'NoneType' object has no attribute|'NoneType' object is not (?:iterable|subscriptable)"
        r"|string indices must be integers|list indices must be integers",
        "python, where a row lacks a value",
        where=Where.EXCEPTION,
        weight=Weight.HINTS,
        frames=r"data_utils|datasets/arrow_dataset|tokenize_fn|formatting_func|apply_chat_template|maybe_\w+_to_"
        r"|dataset\.map|\.map\(",
    ),
)
