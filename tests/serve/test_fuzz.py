"""Requests made from our own OpenAPI schema, good ones and bad ones: each is answered as the schema says.

A few hundred requests, the same in every run; RAG_FUZZ=long makes thousands.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import rag
from rag.config import Config
from rag.serve import build
from tests.serve.conftest import Running, serving

schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is not installed (the extra [dev])")
from hypothesis import HealthCheck, Phase, settings  # noqa: E402
from schemathesis.checks import load_all_checks  # noqa: E402
from schemathesis.generation import GenerationMode  # noqa: E402

load_all_checks()
ACCEPTED = schemathesis.checks.CHECKS.get_one("positive_data_acceptance")
REJECTED = schemathesis.checks.CHECKS.get_one("negative_data_rejection")
BYTES = "/properties/files/items"
"""What is no string in a schema is one all the same when it is sent as a file: any bytes are."""
EXAMPLES = 200 if os.environ.get("RAG_FUZZ") == "long" else 6
MEANT = {"question_error", "usage_error", "document_error"}
"""Refusals of what has the right shape and cannot be all the same: a collection that is not there, an empty file."""


@pytest.fixture(scope="module")
def fuzzed(opened: Callable[..., rag.Assistant]) -> Iterator[Running]:
    with serving(opened(read_model="overlap", serve_body_mb=1)) as running:
        yield running


def described() -> Any:
    """The schema of a server over no documents: it is the same over any."""
    with rag.Assistant(Path("nowhere"), Config().replace({"llm.model": "none"})) as assistant:
        told = build(assistant).openapi()
    refusals = {"expected-statuses": [400, 401, 403, 404, 405, 409, 413, 415, 422, 429, 431]}
    made = {"deterministic": True, "max-examples": EXAMPLES}
    config = schemathesis.Config.from_dict({"generation": made, "checks": {"negative_data_rejection": refusals}})
    return schemathesis.openapi.from_dict(told, config=config)


schema = described()


@schema.parametrize()
@settings(
    max_examples=EXAMPLES,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_every_request_that_the_schema_can_make_is_answered_as_it_says(case: Any, fuzzed: Running) -> None:
    good = case.meta.generation.mode is GenerationMode.POSITIVE
    if (
        good
        and "document" in case.path_parameters
        and case.method == "GET"
        and len(case.path_parameters["document"]) % 2
    ):
        case.path_parameters["document"] = fuzzed.assistant.sources()[0].source.id  # not always one that is not there
    excluded = [ACCEPTED, REJECTED] if case.meta.phase.data.location == BYTES else [ACCEPTED]
    response = case.call_and_validate(base_url=fuzzed.url, excluded_checks=excluded, timeout=60)
    if good and response.status_code in (400, 415, 422):
        assert response.json()["error"]["code"] in MEANT, "the schema allows what is refused"
