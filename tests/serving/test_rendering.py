"""Bodies of scores that are the library's own structs: they must be written as the bodies are."""

import msgspec
import pytest

from recsys.decisioning.answers import Interval, Worth
from serving.http.bodies import ScoresBody
from serving.http.value_bodies import IntervalBody, WorthBody


@pytest.mark.parametrize(("own", "body"), [(Interval, IntervalBody), (Worth, WorthBody)])
def test_the_librarys_struct_has_the_fields_of_the_body(own, body):
    """Same names in the same sequence, so that the same JSON is written."""
    assert own.__struct_fields__ == body.__struct_fields__


@pytest.mark.parametrize("customer", ["ann", "nobody"])
def test_scores_are_what_their_schema_says(shared, customer):
    """An answer as it left reads back as the documented body and writes the same JSON again."""

    content = shared.http.get(f"/v1/customers/{customer}/scores").content
    assert msgspec.json.encode(msgspec.json.decode(content, type=ScoresBody)) == content
