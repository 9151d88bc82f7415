"""A job's own folder and environment: what it may write, which commands it finds, which variables it has.

Layout: `work` (where the command starts), `tmp`, `home`, `cache`, `python` (a bare virtual environment, so that
`pip install` of one job is no other's), `bin` (uv), `volumes` (mounts.py). Nothing of it is shared between jobs.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import ssl
import sys
import tempfile
import venv
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import uv

from service.sandbox import uv_shim
from service.sandbox.hardware import FLAVORS
from service.sandbox.job_rules import JobSpec
from service.sandbox.jobs import Job

# how the machine reaches its package index: without these neither uv nor pip would find it
PASSED_ON = ("UV_SYSTEM_CERTS", "UV_INDEX", "UV_DEFAULT_INDEX", "UV_EXTRA_INDEX", "UV_FIND_LINKS", "PIP_", "SSL_CERT_")
PASSED_ON_NAMES = frozenset({"REQUESTS_CA_BUNDLE", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY"})


@dataclass(frozen=True)
class Workshop:
    """What all jobs of a sandbox have: where folders are made, the sandbox's URL, mapped script URLs, an environment.

    `folder` None: the system's temporary folder. `url_map` pairs a URL or prefix with a file or folder; `python_env` is
    a virtual environment that `uv run` and `python` use in every job; `keep` leaves the folders for inspection.
    """

    endpoint: str = ""
    folder: Path | None = None
    url_map: tuple[tuple[str, str], ...] = field(default=())
    python_env: Path | None = None
    keep: bool = False


def make_folder(job: Job, workshop: Workshop) -> Path:
    """Make a job's folder with its parts and its commands."""
    if workshop.folder:
        workshop.folder.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f"job-{job.id}-", dir=workshop.folder)).resolve()
    for part in ("work", "tmp", "home", "cache", "bin"):
        (folder / part).mkdir()
    _add_uv(folder, workshop)
    if workshop.python_env is None:
        # the system's packages are seen so that pip is there; what a job installs goes into its own
        venv.create(folder / "python", symlinks=True, system_site_packages=True, with_pip=False)
        for name in ("pip", "pip3"):
            _write_command(folder / "bin" / name, f"{shlex.quote(str(folder / 'python/bin/python'))} -m pip")
    return folder


def remove_folder(folder: Path) -> None:
    """Remove a job's folder, also what is there to read only; links are not followed."""
    for place, inner, _ in os.walk(folder):
        for name in inner:
            with suppress(OSError):
                if not os.path.islink(os.path.join(place, name)):
                    os.chmod(os.path.join(place, name), 0o700)
    shutil.rmtree(folder, ignore_errors=True)


def variables(job_id: str, spec: JobSpec, folder: Path, workshop: Workshop) -> dict[str, str]:
    """A job's environment: its own variables and secrets, and those that the sandbox must decide."""
    python_bin = (workshop.python_env.resolve() if workshop.python_env else folder / "python") / "bin"
    return {
        "LANG": os.environ.get("LANG", "C.UTF-8"),
        "PYTHONUNBUFFERED": "1",
        **_index_configuration(),
        **spec.environment,
        **spec.secrets,
        "PATH": os.pathsep.join([str(folder / "bin"), str(python_bin), os.environ.get("PATH", os.defpath)]),
        "HOME": str(folder / "home"),
        "TMPDIR": str(folder / "tmp"),
        "HF_HOME": str(folder / "home/.cache/huggingface"),
        "UV_CACHE_DIR": str(folder / "cache/uv"),
        "PIP_CACHE_DIR": str(folder / "cache/pip"),
        # an interpreter that is asked for and not installed here is an honest error, never a download
        "UV_PYTHON_DOWNLOADS": "never",
        # the folder may lie below somebody's project, which is none of the job's
        "UV_NO_PROJECT": "true",
        "HF_ENDPOINT": workshop.endpoint,
        "JOB_ID": job_id,
        **FLAVORS[spec.flavor].variables(),
    }


def _add_uv(folder: Path, workshop: Workshop) -> None:
    real = Path(uv.find_uv_bin())
    if not workshop.url_map and workshop.python_env is None:
        for command in (real, real.with_name("uvx")):
            if command.exists():
                (folder / "bin" / command.name).symlink_to(command)
        return
    config = folder / "bin/uv.json"
    python_env = str(workshop.python_env.resolve()) if workshop.python_env else None
    config.write_text(json.dumps({"uv": str(real), "url_map": workshop.url_map, "python_env": python_env}))
    parts = [sys.executable, "-I", str(Path(uv_shim.__file__).resolve()), str(config)]
    _write_command(folder / "bin/uv", shlex.join(parts))


def _write_command(path: Path, command: str) -> None:
    path.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
    path.chmod(0o755)


def _index_configuration() -> dict[str, str]:
    """The machine's package index, proxies and certificates; HOME is the job's, so user files are named outright."""
    passed = {
        name: value
        for name, value in os.environ.items()
        if name.startswith(PASSED_ON) or name.upper() in PASSED_ON_NAMES
    }
    for name, path in (("UV_CONFIG_FILE", "uv/uv.toml"), ("PIP_CONFIG_FILE", "pip/pip.conf")):
        file = Path(os.environ.get(name) or Path(os.environ.get("XDG_CONFIG_HOME", Path.home() / ".config")) / path)
        if file.is_file():
            passed[name] = str(file)
    # uv brings certificates of its own, which know nothing of a private index's; the machine's, where it has any, do
    if ssl.get_default_verify_paths().cafile is not None:
        passed.setdefault("UV_SYSTEM_CERTS", "true")
    return passed
