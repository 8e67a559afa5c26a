import json
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.model.errors import ErrorKind, HeadgateError
from headgate.protocols import json_object
from headgate.protocols.json_object import (
    MAX_MEMBERS,
    MAX_NODES,
    MAX_STRINGS,
    is_object,
    read_object,
    refuse_crowd,
    splice,
)


def refused(body: bytes) -> str:
    with pytest.raises(HeadgateError) as caught:
        read_object(body)
    assert caught.value.kind is ErrorKind.INVALID_REQUEST
    return caught.value.message


def test_values_are_kept_as_they_came() -> None:
    body = b' { "a" : [1,  2.50] , "b":{"x": "\\u00e9"} ,"c":1e999}\n'
    fields = read_object(body)
    assert {name: bytes(raw) for name, raw in fields.items()} == {
        "a": b"[1,  2.50]",
        "b": b'{"x": "\\u00e9"}',
        "c": b"1e999",
    }


@pytest.mark.parametrize(
    "body",
    [
        b'{"model":"a","model":"b"}',
        b'{"model":"a","model":"a"}',
        b'{"model":"a","mod\\u0065l":"b"}',
        b'{"mod\\u0065l":"a","x":1,"model":"a"}',
        b'{ "model" : 12 , "model" : 1 }',
        b'{ "model" : 1 , "model" : 12 }',
        b'{"model":[1],"model":[1,2]}',
        b'{"model":{},"stream":true,"model":null}',
    ],
)
def test_a_key_that_stands_twice_is_refused(body: bytes) -> None:
    assert refused(body) == 'the request body has the key "model" twice'


@pytest.mark.parametrize("key", ["", "\\", '"', "\n", "é", "a\\u0062", "x" * 100, "\u2028"])
def test_a_doubled_key_is_found_however_it_is_written(key: str) -> None:
    plain, escaped = json.dumps(key, ensure_ascii=False), json.dumps(key)
    assert "twice" in refused(f"{{{plain}: 1, {escaped}: 1}}".encode())
    assert list(read_object(f'{{{escaped}: 1, "other": 1}}'.encode())) == [key, "other"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b"[]", "not a JSON object: expected `object`, got `array`"),
        (b'"text"', "not a JSON object"),
        (b"null", "not a JSON object"),
        (b'{"a":1} x', "trailing characters"),
        (b'{"a":1}{"b":2}', "trailing characters"),
        (b'{"a":1,}', "trailing comma in object (byte 7)"),
        (b'{"a":NaN}', "invalid character (byte 5)"),
        (b"{'a':1}", "(byte 1)"),
        (b'{"a":1', "truncated"),
        (b'\xef\xbb\xbf{"a":1}', "byte order mark"),
        (b'{"\xff":1}', "not valid UTF-8"),
    ],
)
def test_what_is_not_one_json_object_is_refused_with_the_reason(body: bytes, said: str) -> None:
    assert said in refused(body)
    assert not is_object(body)


@pytest.mark.parametrize("depth", [1000, 100_000, 5_000_000])
def test_deep_nesting_is_refused_and_does_no_harm(depth: int) -> None:
    body = b'{"a":' + b"[" * depth + b"]" * depth + b"}"
    assert refused(body) == "the request body is nested too deep"
    assert not is_object(body)


def test_a_body_of_nothing_but_keys_is_refused() -> None:
    """Looking through eight megabytes of them for doubled ones took seconds."""
    assert refused(json.dumps(dict.fromkeys(map(str, range(MAX_MEMBERS + 1)))).encode()).endswith("than 1000 keys")
    assert len(read_object(json.dumps(dict.fromkeys(map(str, range(MAX_MEMBERS)))).encode())) == MAX_MEMBERS


def test_two_hundred_levels_pass() -> None:
    body = b'{"a":' * 200 + b"1" + b"}" * 200
    assert list(read_object(body)) == ["a"]


def test_without_edits_the_body_itself_comes_back() -> None:
    body = b'{ "a": 1 }'
    assert splice(body, read_object(body), {}) is body


def test_edits_replace_append_and_remove() -> None:
    body = b'{"a":1,"b":[ 1 ],"c":null}'
    edited = splice(body, read_object(body), {"a": b'"x"', "c": None, "d": b"true", "gone": None})
    assert edited == b'{"a":"x","b":[ 1 ],"d":true}'
    assert body == b'{"a":1,"b":[ 1 ],"c":null}'


CROWDS = {
    "objects": b"[" + b"{}," * MAX_NODES + b"1]",
    "objects with spaces": b"[" + b"{ }, " * MAX_NODES + b"1]",
    "arrays": b"[" + b"[]," * MAX_NODES + b"1]",
    "strings": b"[" + b'"\\"",' * (MAX_STRINGS + 1) + b"1]",
    "keys": b'{"a":{' + b'"a" :1,' * (MAX_STRINGS + 1) + b'"b":1}}',
}


@pytest.mark.parametrize("body", CROWDS)
def test_a_crowd_of_values_is_refused_before_they_are_read(body: str) -> None:
    with pytest.raises(HeadgateError) as refused:
        refuse_crowd(CROWDS[body], "input", "input")
    assert (refused.value.kind, refused.value.param) == (ErrorKind.INVALID_REQUEST, "input")
    assert "too many" in refused.value.message


@pytest.mark.parametrize(
    "body",
    [
        b'["' + b"{}[]" * MAX_NODES + b'"]',
        b'["' + b'\\"{' * (2 * MAX_STRINGS) + b'"]',
        b'["\\\\","' + b'\\"{' * MAX_NODES + b'"]',
        b"[" + b'{"a":"b"},' * (MAX_NODES - 1) + b"1]",
    ],
)
def test_what_stands_inside_strings_is_no_crowd(body: bytes) -> None:
    refuse_crowd(body)


@given(st.lists(st.sampled_from([b"{}", b"[]", b'"{["', b'"\\""', b'"\\\\"', b"1"]), max_size=60), st.integers(0, 30))
def test_a_crowd_is_counted_as_a_parser_would(parts: list[bytes], most: int) -> None:
    body = b"[" + b",".join(parts) + b"]"
    nodes = 1 + sum(part in (b"{}", b"[]") for part in parts)
    strings = sum(part.startswith(b'"') for part in parts)
    with patch.multiple(json_object, MAX_NODES=most, MAX_STRINGS=most):
        try:
            refuse_crowd(body)
            refused = False
        except HeadgateError:
            refused = True
    assert refused == (len(body) > most and (nodes > most or strings > most))
