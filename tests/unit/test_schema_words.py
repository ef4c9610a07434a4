"""The OpenAPI text of an operation: what it answers in, and what a refusal looks like."""

from __future__ import annotations

from pdp.schema_words import Operation, in_path, number_in_path, ref

REFUSALS = {404: "There is nothing of this name"}


def test_json_has_its_schema_files_are_bytes_and_everything_else_is_text() -> None:
    files = ("application/json", "text/csv", "application/jsonl", "application/vnd.apache.parquet", "application/zip")
    content = Operation("x", "", "", "Rows", media=files).route({})["responses"][200]["content"]
    assert content["application/json"]["schema"] == ref("Rows")
    assert [content[media]["schema"].get("format") for media in files[1:]] == [None, None, "binary", "binary"]


def test_a_refusal_is_a_problem_where_nothing_else_is_said() -> None:
    error = {"application/json": {"schema": ref("Error")}}
    operation = Operation("x", "", "", "Row", (in_path("name", {}), number_in_path("number")), "Draft", 201)
    told, otherwise = operation.route(REFUSALS), operation.route(REFUSALS, error)
    assert list(told["responses"]) == [201, 404]
    assert list(told["responses"][404]["content"]) == ["application/problem+json"]
    assert otherwise["responses"][404] == {"description": REFUSALS[404], "content": error}
    assert [one["name"] for one in told["openapi_extra"]["parameters"]] == ["name", "number"]
    assert told["openapi_extra"]["requestBody"]["required"] is True
