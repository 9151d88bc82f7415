"""The container's image and command, and the machine and network around it."""

from __future__ import annotations

from service.domain.diagnosis.signature import Weight, Where, says
from service.domain.run import Reason

MACHINE = (
    says(
        Reason.IMAGE_ERROR,
        r"ErrImagePull|ImagePullBackOff|InvalidImageName|ErrImageNeverPull|manifest unknown|manifest for \S+ not found"
        r"|pull access denied|failed to pull (?:and unpack )?image|Back-off pulling image|image .*not found in registry"
        r"|no matching manifest for|repository does not exist or may require 'docker login'"
        r"|toomanyrequests: You have reached your",
        "kubelet; containerd; docker registry API",
    ),
    says(
        Reason.IMAGE_ERROR,
        r"exec format error|executable file not found in \$PATH|OCI runtime (?:create|exec) failed|StartError"
        r"|ContainerCannotRun|CreateContainerError|RunContainerError|failed to create (?:containerd|shim) task"
        r"|unable to start container process",
        "runc, containerd, kubelet",
    ),
    says(
        Reason.IMAGE_ERROR,
        r"^(?:\S+: )?(?:line \d+: )?(?:\d+: )?\S+: (?:command )?not found$"
        r"|^(?:\S+: (?:line \d+: )?)?exec: .*: not found|^\[FATAL tini"
        r"|^env: .*: No such file or directory|^\S*sh: (?:line )?(?:\d+: )?\S+: Permission denied$"
        r"|^/usr/bin/env: .*No such file|GLIBC_\d[\d.]*' not found",
        "sh, bash, env, ld.so, tini",
        where=Where.LINE,
        weight=Weight.POINTS,
        remedy="The image lacks the command: take an image that has it (uv's for scripts), or correct the command.",
    ),
    says(
        Reason.INFRASTRUCTURE,
        r"could not select device driver|nvidia-container-cli: (?:initialization|device) error|nvml error: driver"
        r"|NVIDIA-SMI has failed because it couldn't communicate",
        "docker and NVIDIA's container toolkit: the machine does not give its GPU to the container",
    ),
    says(
        Reason.IMAGE_ERROR,
        r"^(?:docker: )?Error response from daemon",
        "docker",
        where=Where.LINE,
        weight=Weight.POINTS,
    ),
    says(
        Reason.INFRASTRUCTURE,
        r"\bNodeLost\b|node (?:was|is) (?:lost|not ready|shutting down)|\bpreempted\b|\bPreemption\b"
        r"|Spot instance (?:interruption|was reclaimed)"
        r"|\bEvicted\b|The node was low on resource|NodeShutdown|Pod was (?:terminated|rejected)"
        r"|UnexpectedAdmissionError"
        r"|ContainerStatusUnknown|FailedCreatePodSandBox|FailedMount|internal (?:server )?error while (?:starting"
        r"|running) (?:the )?job"
        r"|Insufficient (?:capacity|nvidia\.com/gpu)",
        "kubelet and scheduler reasons",
    ),
    says(
        Reason.INFRASTRUCTURE,
        r"(?:├─▶|╰─▶|Caused by:|cause:) (?:.* due to network timeout|operation timed out|unexpected end of file"
        r"|error decoding response body|request or response body error|connection (?:reset|closed|refused))",
        "uv 0.1 to 0.13: the last causes of a download that broke, whatever its headline is",
        where=Where.LINE,
        remedy="A download before the script broke off: submit again.",
    ),
    says(
        Reason.INFRASTRUCTURE,
        r"(?:ReadTimeout|ConnectTimeout|Protocol|NewConnection|MaxRetry|Incomplete|Timeout|Connection|SSL)\w*(?:Error)?\b",
        "pip: its own download",
        where=Where.EXCEPTION,
        weight=Weight.POINTS,
        frames=r"/pip/_(?:vendor|internal)/",
        remedy="A download before the script broke off: submit again.",
    ),
    says(
        Reason.INFRASTRUCTURE,
        r"^error: Request failed after \d+ retries|error sending request for url|^error: Failed to (?:fetch"
        r"|download)(?!.*40[34])"
        r"|Failed to (?:fetch|download) `?[\w.+=-]+`?.*(?:timed out|connect)|operation timed out"
        r"|dns error: failed to lookup"
        r"|^ERROR: Could not fetch URL|Retrying \(Retry\(total=0",
        "uv 0.4 to 0.13: uv-client; pip",
        where=Where.LINE,
        weight=Weight.POINTS,
        remedy="A download before the script failed: submit again; in the sandbox, where an address cannot be reached, "
        "start it with --url-map URL=PATH.",
    ),
    says(
        Reason.INFRASTRUCTURE,
        r"^curl: \((?:5|6|7|18|28|35|52|56|92)\) |^wget: unable to resolve|Could not resolve (?:host|proxy): ",
        "curl: EXIT CODES; wget; git",
        where=Where.LINE,
        weight=Weight.POINTS,
        remedy="A download before the script failed: submit again.",
    ),
    says(
        Reason.INFRASTRUCTURE,
        r"\[Errno 5\] Input/output error|Address already in use|EADDRINUSE"
        r"|Tried to launch distributed communication on port|os error 5\)|Stale file handle|\[Errno 116\]"
        r"|Transport endpoint is not connected"
        r"|Structure needs cleaning|Read-only file system",
        "errno 5, 30, 107, 116, 117",
    ),
    says(
        Reason.STALLED,
        r"(?:job|run|process) (?:has )?(?:stalled|hung)|no (?:progress|output|heartbeat|activity) (?:for|in"
        r"|within|since) (?:the last )?\d+"
        r"|inactivity timeout|heartbeat (?:lost|missed|expired)",
        "watchdogs of job runners",
        weight=Weight.POINTS,
    ),
)
