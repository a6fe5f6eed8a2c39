"""Each parser reads exactly the sentences of its grammar: these with the right parts, and nothing else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grantwell._protocol.redirects import matching_redirect_uri
from tests.properties.effort import effort
from tests.properties.near_misses import FRAGMENTS, document_slips, near_misses, slips
from tests.properties.parsers import PARSERS, Parser, text_of
from tests.properties.scanning import Read
from tests.properties.seeds import DRESSED, METADATA, NEARLY, SEEDS
from tests.properties.sentences import SENTENCES

every_parser = pytest.mark.parametrize("parser", PARSERS, ids=[parser.name for parser in PARSERS])


def test_every_parser_has_sentences() -> None:
    assert set(SENTENCES) == set(SEEDS) == {parser.name for parser in PARSERS}


@pytest.mark.requirement("D-17", "D-18", "S-022")
@pytest.mark.parametrize("parser", [pytest.param(p, id=p.name) for p in PARSERS if p.name != "metadata"])
def test_a_sentence_with_any_one_slip_is_read_only_if_it_is_one(parser: Parser) -> None:
    for seed in SEEDS[parser.name]:
        assert isinstance(parser.verdict(seed), Read), seed
    for seed in SEEDS[parser.name] + NEARLY.get(parser.name, ()):
        for data in slips(seed):
            assert parser.complaint(data) is None
    dress, inner = DRESSED.get(parser.name, (bytes, ()))
    for seed in inner:
        assert isinstance(parser.verdict(dress(seed)), Read), seed
        for data in slips(seed):
            assert parser.complaint(dress(data)) is None


@pytest.mark.requirement("D-17", "S-392", "S-399", "A-097", "A-100")
@pytest.mark.parametrize("document", METADATA, ids=range(len(METADATA)))
def test_client_metadata_with_any_one_slip_is_read_only_if_it_is_acceptable(document: dict[str, Any]) -> None:
    (parser,) = (parser for parser in PARSERS if parser.name == "metadata")
    assert isinstance(parser.verdict(json.dumps(document).encode()), Read)
    for slip in document_slips(document):
        assert parser.complaint(json.dumps(slip).encode()) is None


@pytest.mark.requirement("D-17", "D-18")
@every_parser
@effort
@given(st.data())
def test_every_sentence_is_read_with_its_parts(parser: Parser, data: st.DataObject) -> None:
    sentence, value = data.draw(SENTENCES[parser.name]())
    assert parser.verdict(sentence) == Read(value)
    assert parser.complaint(sentence) is None


@pytest.mark.requirement("D-17", "D-18", "S-022")
@every_parser
@effort
@given(st.data())
def test_what_is_almost_a_sentence_is_read_only_if_it_is_one(parser: Parser, data: st.DataObject) -> None:
    sentence, _ = data.draw(SENTENCES[parser.name]())
    assert parser.complaint(data.draw(near_misses(sentence))) is None


_ANYTHING = st.binary(max_size=60) | st.lists(st.sampled_from(FRAGMENTS) | st.binary(max_size=3)).map(b"".join)


@pytest.mark.requirement("D-17", "D-18", "S-022")
@every_parser
@effort
@given(_ANYTHING)
def test_whatever_is_no_sentence_is_refused_by_the_one_error_of_its_parser(parser: Parser, data: bytes) -> None:
    assert parser.complaint(data) is None


@pytest.mark.requirement("D-17", "A-020")
@effort
@given(st.data())
def test_two_redirect_uris_match_each_other_or_neither_does(data: st.DataObject) -> None:
    registered, _ = data.draw(SENTENCES["redirect-uri"]())
    one = registered.decode()
    other = text_of(data.draw(near_misses(registered)))
    assert matching_redirect_uri([one], other) == matching_redirect_uri([other], one)
