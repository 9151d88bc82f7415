"""What schemathesis looks at beside its own checks (loaded by it, not by pytest)."""

from __future__ import annotations

import json

import schemathesis


@schemathesis.check
def every_error_is_a_problem_document(_ctx: object, response: schemathesis.Response, _case: schemathesis.Case) -> None:
    """RFC 9457, with the stable `code` and nothing of the inside."""
    if response.status_code < 400 or response.request.method == "HEAD":
        return
    assert response.headers["content-type"] == ["application/problem+json"], response.headers["content-type"]
    problem = json.loads(response.content)
    assert problem["status"] == response.status_code
    assert problem["code"]
    assert problem["detail"]
    assert problem["type"] == f"urn:tunegate:problem:{problem['code']}"
    assert "Traceback" not in response.text


@schemathesis.check
def every_answer_says_the_policy(_ctx: object, response: schemathesis.Response, _case: schemathesis.Case) -> None:
    """The headers of api/policy.py, whoever answers."""
    assert response.headers["x-content-type-options"] == ["nosniff"]
    assert response.headers["content-security-policy"]
