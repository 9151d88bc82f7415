"""Two runs side by side."""

from __future__ import annotations

from service.flow import preflight
from tests.api.conftest import Api
from tests.api.test_runs import submit


def test_only_what_differs_is_told_by_its_path(api: Api) -> None:
    a = submit(api, env={"SEED": "1"}, labels={"x": "1"})["id"]
    b = submit(api, env={"SEED": "2"}, labels={"x": "2"}, timeout="20m")["id"]
    preflight.run_once(api.world.gate)
    told = api("GET", f"/runs/{a}/diff/{b}").json()
    assert told["inputs"] == [
        {"field": "env.SEED", "a": "1", "b": "2", "lines": None},
    ]
    assert told["settings"] == [
        {"field": "timeout_seconds", "a": 600, "b": 1200, "lines": None},
    ]
    assert [one["field"] for one in told["outcomes"]] == ["cost.ceiling_usd"]
    assert told["same_fingerprint"] is False


def test_the_same_inputs_have_no_difference(api: Api) -> None:
    a, b = submit(api)["id"], submit(api, labels={"why": "again"})["id"]
    assert api("GET", f"/runs/{a}/diff/{b}").json()["same_fingerprint"] is None
    preflight.run_once(api.world.gate)
    told = api("GET", f"/runs/{a}/diff/{b}").json()
    assert (told["inputs"], told["outcomes"], told["same_fingerprint"]) == ([], [], True)
    assert told["settings"] == []
    assert api("GET", f"/runs/{a}/diff/{b}", as_="outsider").status_code == 404


def test_volumes_and_revisions_are_compared_one_by_one_to_the_commit(api: Api) -> None:
    hub, now = api.world.core.hub, api.world.clock.now
    for name in ("one", "two"):
        hub.publish("dataset", f"acme/{name}", {"a.txt": name.encode()}, now)

    def mounted(first: str, **second: str) -> str:
        paths = (("/a", first, {}), ("/b", "two", second))
        volumes = [{"type": "dataset", "source": f"acme/{one}", "mount_path": at, **more} for at, one, more in paths]
        run_id: str = submit(api, volumes=volumes)["id"]
        preflight.run_once(api.world.gate)
        return run_id

    a, b, c = mounted("one"), mounted("one", revision="main"), mounted("two")
    named = api("GET", f"/runs/{a}/diff/{b}").json()
    assert [(one["field"], one["a"], one["b"]) for one in named["inputs"]] == [("volumes./b.revision", None, "main")]
    assert named["same_fingerprint"] is True, "another name of the same commit"
    pins = [api("GET", f"/runs/{one}").json()["pins"]["volume:/a"] for one in (a, c)]
    assert [(one["field"], one["a"], one["b"]) for one in api("GET", f"/runs/{a}/diff/{c}").json()["inputs"]] == [
        ("pins.volume:/a", *pins),
        ("volumes./a.source", "acme/one", "acme/two"),
    ]


def test_secrets_are_compared_by_name_and_never_shown(api: Api) -> None:
    a = submit(api, secrets={"WANDB_API_KEY": "first-secret-value", "BOTH": "one-secret-value"}, env={})["id"]
    b = submit(api, secrets={"BOTH": "other-secret-value"}, env={"MODE": "x"})["id"]
    answer = api("GET", f"/runs/{a}/diff/{b}")
    assert [(one["field"], one["a"], one["b"]) for one in answer.json()["inputs"]] == [
        ("env.MODE", None, "x"),
        ("secrets.WANDB_API_KEY", "given", None),
    ]
    assert "secret-value" not in answer.text


def test_of_two_scripts_the_lines_that_differ_are_told(api: Api) -> None:
    sources = ("a = 1\nb = 2\nc = 3\nd = 4\n", "a = 1\nb = 2\nc = 5\nd = 4\n")
    a, b = (submit(api, recipe={"kind": "script", "source": source})["id"] for source in sources)
    told = {one["field"]: one for one in api("GET", f"/runs/{a}/diff/{b}").json()["inputs"]}
    assert set(told) == {"recipe.sha256", "recipe.source"}
    lines = ["--- a", "+++ b", "@@ -2,3 +2,3 @@", " b = 2", "-c = 3", "+c = 5", " d = 4"]
    assert (told["recipe.source"]["lines"], told["recipe.sha256"]["lines"]) == (lines, None)
