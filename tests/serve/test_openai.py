"""The official openai client, as it is, against our door."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import openai
import pytest
import uvicorn

import rag
from tests.serve.conftest import SAYS, TREES, Held, Running, listening, serving, with_model


@pytest.fixture(scope="module")
def worded(opened: Callable[..., rag.Assistant]) -> Iterator[Running]:
    """A server whose model words the answer; it needs a token."""
    assistant, llm = opened(read_model="overlap"), Held()
    llm.go.set()
    with_model(assistant, llm)
    assistant.add_text("The harbour of Elm was opened in 1687.", title="Elm", uri="mem:elm", collection="sea stories/2")
    with serving(assistant, tokens=["s3cret"]) as running:
        yield running


@pytest.fixture(scope="module")
def client(worded: Running) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{worded.url}/v1", api_key="s3cret", max_retries=0) as client:
        yield client


def asked(question: str = TREES) -> list[Any]:
    return [{"role": "system", "content": "Answer in French."}, {"role": "user", "content": question}]


def test_the_answer_carries_numbered_notes_in_the_text_and_as_structure(worded: Running, client: openai.OpenAI) -> None:
    told = client.chat.completions.create(model="rag", messages=asked())
    message = told.choices[0].message
    plain = worded.assistant.ask(TREES)
    assert told.choices[0].finish_reason == "stop" and message.content is not None
    assert message.content.startswith(SAYS + " [1]\n\n[1] 001_6b10a84c2a205f2b.txt, line ")
    assert message.content.endswith(f"“{plain.citations[0].quote}”")
    assert message.model_extra is not None and told.model_extra is not None
    assert message.model_extra["citations"] == rag.to_json(plain.citations)
    assert told.model_extra["rag"]["claims"] == rag.to_json(plain.claims)
    assert message.annotations is not None and told.usage is None
    for note in message.annotations:
        cited = note.url_citation
        assert message.content[cited.start_index : cited.end_index] == "[1]"
        assert (cited.title, cited.url) == (plain.citations[0].source.title, plain.citations[0].source.uri)


def test_the_stream_says_the_same(client: openai.OpenAI) -> None:
    whole = client.chat.completions.create(model="rag", messages=asked())
    text, last, ends = "", {}, []
    for chunk in client.chat.completions.create(model="rag", messages=asked(), stream=True):
        text += chunk.choices[0].delta.content or ""
        last |= chunk.choices[0].delta.model_extra or {}
        ends.append(chunk.choices[0].finish_reason)
    assert text == whole.choices[0].message.content
    assert last["citations"] == whole.choices[0].message.model_extra["citations"]
    assert [a.model_dump() for a in whole.choices[0].message.annotations] == last["annotations"]
    assert [end for end in ends if end] == ["stop"]


def test_the_asynchronous_client_works_too(worded: Running) -> None:
    import asyncio

    async def one() -> str | None:
        async with openai.AsyncOpenAI(base_url=f"{worded.url}/v1", api_key="s3cret") as client:
            return (await client.chat.completions.create(model="rag", messages=asked())).choices[0].message.content

    assert SAYS in (asyncio.run(one()) or "")


def test_the_models_are_rag_and_one_for_each_collection(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["rag", "rag/default", "rag/sea stories/2"]
    for name in ("rag", "rag/default", "rag/sea stories/2"):
        assert (client.models.retrieve(name).id, client.models.retrieve(name).owned_by) == (name, "rag")
    for name in ("gpt-4o", "rag/", "rag/nothing", "rag/default/x"):
        with pytest.raises(openai.NotFoundError):
            client.models.retrieve(name)
        with pytest.raises(openai.NotFoundError) as refused:
            client.chat.completions.create(model=name, messages=asked())
        assert refused.value.code == "model_not_found"


def test_the_name_of_the_model_chooses_the_collection(worded: Running, client: openai.OpenAI) -> None:
    sea = worded.assistant.sources()[[r.collection for r in worded.assistant.sources()].index("sea stories/2")].source
    for model, question, ids in (
        ("rag/sea stories/2", "When was the harbour of Elm opened?", {sea.id}),
        ("rag/sea stories/2", TREES, {sea.id}),
        (
            "rag/default",
            "When was the harbour of Elm opened?",
            {r.source.id for r in worded.assistant.sources()} - {sea.id},
        ),
    ):
        for stream in (False, True):
            told = client.chat.completions.create(model=model, messages=asked(question), stream=stream)
            whole = told if not stream else list(told)[-1]
            assert whole.model == model
            found = {e["hit"]["passage"]["source"]["id"] for e in whole.model_extra["rag"]["evidence"]}
            assert found and found <= ids


def test_a_field_beside_the_messages_says_where_to_look(worded: Running, client: openai.OpenAI) -> None:
    first = worded.assistant.sources()[0].source.id
    told = client.chat.completions.create(
        model="rag", messages=asked("Japan"), extra_body={"where": {"sources": [first]}}
    )
    assert {e["hit"]["passage"]["source"]["id"] for e in told.model_extra["rag"]["evidence"]} == {first}
    for model, where in (("rag", {"collections": ["nothing"]}), ("rag/default", {"collections": ["default"]})):
        with pytest.raises(openai.UnprocessableEntityError) as refused:
            client.chat.completions.create(model=model, messages=asked(), extra_body={"where": where})
        assert refused.value.code == "usage_error"


def test_the_messages_before_are_the_history(client: openai.OpenAI) -> None:
    before = [{"role": "user", "content": "How many cherry blossom trees will Japan donate?"},
              {"role": "assistant", "content": "250."}, {"role": "user", "content": "And to whom?"}]  # fmt: skip
    told = client.chat.completions.create(model="rag", messages=before)  # type: ignore[arg-type]
    assert "cherry blossom" in told.model_extra["rag"]["trace"]["query"]  # type: ignore[index]


def test_content_in_parts_is_read_and_pictures_are_refused(client: openai.OpenAI) -> None:
    parts: list[Any] = [{"role": "user", "content": [{"type": "text", "text": TREES}]}]
    assert SAYS in str(client.chat.completions.create(model="rag", messages=parts).choices[0].message.content)
    parts[0]["content"].append({"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}})
    with pytest.raises(openai.UnprocessableEntityError):
        client.chat.completions.create(model="rag", messages=parts)


@pytest.mark.parametrize(
    "how",
    [{"max_tokens": None}, {"max_tokens": 10**9}, {"max_tokens": 1e9}, {"temperature": 0.7}, {"n": 1}, {"seed": 3},
     {"stop": ["x"]}, {"user": "me"}, {"response_format": {"type": "text"}}],
    ids=str,
)  # fmt: skip
def test_settings_of_sampling_change_nothing(client: openai.OpenAI, how: dict[str, Any]) -> None:
    assert SAYS in str(client.chat.completions.create(model="rag", messages=asked(), **how).choices[0].message.content)


@pytest.mark.parametrize(
    "how",
    [{"max_tokens": 0}, {"max_tokens": -1}, {"max_tokens": "9"}, {"max_tokens": 1.5}, {"max_tokens": True}, {"n": 2},
     {"max_completion_tokens": 0}, {"temperature": 3}, {"temperature": "1"}, {"stream": "no"}, {"messages": []},
     {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]},
     {"messages": [{"role": "tool", "content": "a", "tool_call_id": "x"}]},
     {"messages": [{"role": "user", "content": "  "}]}, {"response_format": {"type": "json_object"}},
     {"tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}]}],
    ids=str,
)  # fmt: skip
def test_what_cannot_be_is_refused_as_the_client_expects(client: openai.OpenAI, how: dict[str, Any]) -> None:
    with pytest.raises(openai.UnprocessableEntityError) as refused:
        client.chat.completions.create(**({"model": "rag", "messages": asked()} | how))
    assert refused.value.type == "invalid_request_error"


def test_a_wrong_key_is_an_authentication_error(worded: Running) -> None:
    with pytest.raises(openai.AuthenticationError), openai.OpenAI(base_url=f"{worded.url}/v1", api_key="x") as client:
        client.models.list()


def test_a_stream_that_is_closed_early_frees_the_model(worded: Running, client: openai.OpenAI) -> None:
    with client.chat.completions.create(model="rag", messages=asked(), stream=True) as stream:
        next(iter(stream))
    assert SAYS in str(client.chat.completions.create(model="rag", messages=asked()).choices[0].message.content)


def test_a_chat_front_end_that_knows_nothing_of_us_works_unchanged(worded: Running) -> None:
    """Gradio's own page for any OpenAI endpoint, asked as its browser asks it."""
    import fastapi
    import gradio
    from gradio_client import Client

    page = gradio.load_chat(f"{worded.url}/v1/", "rag", "s3cret", file_types=None, api_name="chat")
    app = gradio.mount_gradio_app(fastapi.FastAPI(), page, path="/front", ssr_mode=False)
    with listening(uvicorn.Config(app, log_level="error")) as url:
        front = Client(f"{url}/front", verbose=False, analytics_enabled=False, httpx_kwargs={"timeout": 200})
        said = front.predict(TREES, api_name="/chat")
        assert said.startswith(SAYS + " [1]\n\n[1] 001_6b10a84c2a205f2b.txt")
        talk = (("user", TREES), ("assistant", said))
        history = [{"role": role, "content": [{"type": "text", "text": text}]} for role, text in talk]
        *_, again = page.fn(TREES, history)  # what the page calls at the second question
        assert SAYS in again
