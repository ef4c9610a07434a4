"""The shared vectors: SETs of SSF, CAEP and RISC, signed cases, subject identifiers, pushes and polls."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pdp.errors import BadRequestError
from pdp.identity.keys import KeySet
from pdp.model.issuer import Issuer
from pdp.ssf import events
from pdp.ssf.events import read_event, short_name
from pdp.ssf.receiving.polling import read_answer
from pdp.ssf.receiving.push import PREFIX, PushEndpoint
from pdp.ssf.receiving.transmitter import read_metadata, well_known
from pdp.ssf.subjects import Complex, Foreign, Simple, iss_sub, matches, read_subject
from pdp.ssf.token import SecurityEventToken, SetRefusedError, judged, opened
from pdp.store.store import open_store
from pdp.wire.exchange import HttpRequest
from tests.signal_house import IDP, NOW, TX, furnish, stream_of, until, working
from tests.ssf_transmitter import TOKEN, signed_set
from tests.tokens import jwk, rsa_key

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def vectors(shared: Path, name: str) -> Any:
    return json.loads((shared / "vectors" / "ssf" / f"{name}.json").read_text(encoding="utf-8"))


def spec_sets(shared: Path) -> list[dict[str, Any]]:
    """The claims of the 27 SETs that stand in the texts of SSF, CAEP and RISC."""
    texts = [vectors(shared, f"{text}-spec-examples")["set_claims"] for text in ("ssf", "caep", "risc")]
    found = [one["json"] for text in texts for one in text]
    assert len(found) == 27
    return found


def read(text: str, keys: KeySet, issuer: Issuer, now: datetime) -> SecurityEventToken:
    jws, _ = opened(text, issuer)
    return judged(jws, keys, issuer, now)


def test_a_subject_of_the_texts_is_read_and_written_again(shared: Path) -> None:
    cases = vectors(shared, "subject-identifiers")
    for value in cases["valid"]:
        subject = read_subject(value)
        assert read_subject(subject.to_json()) == subject and set(subject.to_json()) == set(value)
    for case in cases["invalid"]:
        with pytest.raises(BadRequestError):
            read_subject(case["value"])
    for case in cases["tolerate"]:
        assert read_subject(case["value"], legacy=True) == iss_sub("https://idp.example.com/", "1")
        with pytest.raises(BadRequestError):
            read_subject(case["value"])
    for case in cases["match_cases"]:
        one, other = read_subject(case["stream_subject"]), read_subject(case["event_subject"])
        assert matches(one, other) is matches(other, one) is case["match"], case["why"]


def test_a_signed_case_comes_out_as_it_says(shared: Path) -> None:
    suite = vectors(shared, "signed-set-cases")
    given, keys = suite["validate_with"], KeySet(suite["jwks"])
    now = datetime.fromtimestamp(given["now"], UTC)
    issuer = Issuer(issuer=given["issuer"], audiences=(given["audience"],), algorithms=tuple(given["algorithms"]))
    assert len(suite["cases"]) >= 23
    for case in suite["cases"]:
        try:
            token = read(case["set"], keys, issuer, now)
        except SetRefusedError as fault:
            assert (False, fault.err) == (case["accept"], case["push_err"]), case["name"]
            continue
        assert case["accept"], case["name"]
        if case["name"] == "event_timestamp_milliseconds":
            assert now - timedelta(minutes=5) < token.happened_at <= now
    (es256,) = (case for case in suite["cases"] if case["name"] == "es256")
    wider = Issuer(issuer=given["issuer"], audiences=(given["audience"],), algorithms=("RS256", "ES256"))
    assert read(es256["set"], keys, wider, now), "without the interoperability profile it counts"


def test_every_set_in_the_texts_counts_once_it_is_signed(shared: Path) -> None:
    keys = KeySet({"keys": [jwk(rsa_key(), "rsa-1", use="sig", alg="RS256")]})
    kinds = set()
    for claims in spec_sets(shared):
        audience = claims["aud"] if isinstance(claims["aud"], str) else claims["aud"][0]
        issuer = Issuer(issuer=claims["iss"], audiences=(audience,), algorithms=("RS256",))
        ((kind, members),) = claims["events"].items()
        rest = {name: value for name, value in claims.items() if name != "iss"}
        text = signed_set(claims["iss"], kind, claims["sub_id"], at=0, **rest)
        token = read(text, keys, issuer, datetime.fromtimestamp(claims["iat"], UTC))
        assert (token.issuer, token.jti, token.event.type) == (claims["iss"], claims["jti"], kind)
        assert token.event.members == members and short_name(kind) != "other"
        assert set(events.REQUIRED.get(kind, ())) - {"previous_status"} <= set(members), kind
        kinds.add(type(token.subject))
    assert kinds == {Simple, Complex, Foreign}


async def test_a_push_is_answered_in_the_shapes_of_the_text(shared: Path, tmp_path: Path) -> None:
    shapes = vectors(shared, "rfc8935-push-shapes")
    store = open_store(f"sqlite:///{tmp_path / 'signals.db'}")
    store.migrate()
    furnish(store)
    headers = (("content-type", shapes["request"]["headers"]["Content-Type"]), ("accept", "application/json"))
    text = signed_set(TX, events.SESSION_REVOKED, iss_sub(IDP, "u-1").to_json(), at=NOW.timestamp())

    async with working(store, stream_of(tmp_path)) as house:
        endpoint = PushEndpoint(house.desk, house.incoming)

        async def push(token: str) -> Any:
            sent = (*headers, ("authorization", f"Bearer {token}"))
            request = HttpRequest(shapes["request"]["method"], f"{PREFIX}idp", "", sent, text.encode())
            return await endpoint(request)

        for _ in range(2):  # `duplicate_rule` of the signed cases
            taken = await push(TOKEN)
            assert (taken.status, taken.body.decode()) == (shapes["success"]["status"], shapes["success"]["body"])
        refused = await push("another-token-0123456789")
        await until(lambda: house.trail.events)
        assert len(house.trail.events) == 1 and len(house.marks()) == 1
    store.close()
    told = json.loads(refused.body)
    assert refused.status == shapes["error"]["status"] and set(told) == set(shapes["error"]["body"])
    assert told["err"] in shapes["err_codes"] + shapes["ssf_extra_err"]
    assert dict(refused.headers)["content-type"] == shapes["error"]["headers"]["Content-Type"]


def test_the_answers_to_polls_are_read(shared: Path) -> None:
    for response in vectors(shared, "rfc8936-poll-examples")["responses"]:
        sets = read_answer(json.dumps(response["body"]).encode())
        assert sets == response["body"]["sets"]


def test_the_configuration_of_the_text_is_read_where_it_stands(shared: Path) -> None:
    examples = {
        one["title"]: one["text"] for one in vectors(shared, "ssf-spec-examples")["http_examples"] if one["title"]
    }
    request = examples["Example: Transmitter Configuration Request (with path)"].split()[1]
    assert well_known("https://tr.example.com/issuer1") == f"https://tr.example.com{request}"
    body = examples["Example: Transmitter Configuration Response"].partition("\n\n")[2]
    metadata = read_metadata(body.encode(), "https://tr.example.com")
    assert metadata.critical == {"tenant", "user"} and metadata.jwks_uri == "https://tr.example.com/jwks.json"
    assert metadata.verification_endpoint == "https://tr.example.com/ssf/mgmt/verification"


def test_the_older_guides_own_example_is_refused_for_its_shared_secret(shared: Path) -> None:
    """Cisco's guide of before the final texts polls SETs that are signed with HS256 and typed `JWT`."""
    examples = vectors(shared, "legacy-duo-draft-examples")["examples"]
    (text,) = examples["example_polling_response"]["sets"].values()
    issuer = Issuer(issuer="https://transmitter.most-secure.com/", audiences=("https://popular-app.com/",))
    with pytest.raises(SetRefusedError) as refused:
        opened(text, issuer)
    assert refused.value.err == "invalid_request"
    ((kind, members),) = examples["example_decoded_set"]["events"].items()
    assert read_event(kind, members, legacy=True).type == events.VERIFICATION
    assert not read_event(kind, members).known
