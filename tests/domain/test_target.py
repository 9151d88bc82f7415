"""Where webhooks may go."""

from __future__ import annotations

import pytest

from service.domain.target import address_refusal, url_refusal


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/hook",
        "ftp://example.com",
        "https://",
        "not a url",
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://[::ffff:10.0.0.1]/",
        "https://169.254.169.254/latest/meta-data",
        "https://10.1.2.3/",
        "https://user:pass@example.com/",
        "https://example.com:99999/",
        "https://0.0.0.0/",
        "https://[fe80::1%25eth0]/",
        "https://[64:ff9b::a00:1]/",
        "https://localhost/",
        "https://[::127.0.0.1]/",
        "https://[fec0::1]/",
        "https://2130706433/",
        "https://0177.0.0.1/",
        "https://0x7f000001/",
        "https://0x7f.1/",
        "https://127.1/",
        "https://127.0.0.1./",
        "https://localhost./",
        "https://a.localhost/",
        "https://[::ffff:0:127.0.0.1]/",
        "https://[64:ff9b:1::7f00:1]/",
        "https://[2002:7f00:1::]/",
        "https://[fe80::1%eth0]/",
        "https://@127.0.0.1/",
        "https://example.com@127.0.0.1/",
        "https://127.0.0.1\\@example.com/",
        "https://example.com\\.internal/",
        "https://exa\nmple.com/",
        " https://example.com/",
        "https://example.com/a b",
        "https://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ/",
        "https://①②⑦.0.0.1/",
        "https://127。0。0。1/",
        "https://bücher.example/",
        "https://ex%61mple.com/",
        "https://127.0.0.1%2f.example.com/",
    ],
)
def test_private_and_plain_targets_are_refused(url: str) -> None:
    assert url_refusal(url, ()) is not None


def test_public_https_is_welcome() -> None:
    assert url_refusal("https://example.com/hook", ()) is None
    assert address_refusal("example.com", ["93.184.216.34"], ()) is None


@pytest.mark.parametrize("allowed", ["127.0.0.1", "127.0.0.0/8", "localhost"])
def test_the_operator_may_allow_a_private_target(allowed: str) -> None:
    host = "localhost" if allowed == "localhost" else "127.0.0.1"
    assert url_refusal(f"http://{host}:9/hook", (allowed,)) is None
    assert address_refusal(host, ["127.0.0.1"], (allowed,)) is None


def test_one_private_address_of_several_is_enough_to_refuse() -> None:
    assert address_refusal("example.com", ["93.184.216.34", "10.0.0.1"], ()) is not None
    assert address_refusal("example.com", ["127.0.0.1", "10.0.0.1"], ("127.0.0.0/8",)) is not None


@pytest.mark.parametrize(
    ("url", "is_taken"),
    [
        ("https://example.com/", True),
        ("https://example.com:443/", True),
        ("https://example.com:8443/", True),
        ("https://example.com:22/", False),
        ("https://example.com:0/", False),
        ("https://10.0.0.1:6379/", True),  # the operator's own
        ("https://xn--bcher-kva.example/", True),
        ("https://example.com./", True),
        ("https://[2606:4700::6810:85e5]/", True),
    ],
)
def test_ports_are_those_of_https_but_for_allowed_targets(url: str, is_taken: bool) -> None:
    assert (url_refusal(url, ("10.0.0.0/8",), ports=(443, 8443)) is None) == is_taken
