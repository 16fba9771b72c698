"""What the digest of a row is taken of."""

import hashlib
import json

from hypothesis import given
from hypothesis import strategies as st

from ostiary.store.links import digest_of

VALUES = st.one_of(
    st.none(),
    st.text(),
    st.binary(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
)


@given(st.lists(VALUES))
def test_a_digest_is_of_the_rows_json(row: list[object]) -> None:
    plain = [
        each.hex()
        if isinstance(each, bytes)
        else int(each)
        if isinstance(each, float) and each.is_integer()
        else each
        for each in row
    ]
    text = json.dumps(plain, ensure_ascii=False).encode("utf-8", errors="surrogatepass")
    assert digest_of(row) == hashlib.sha256(text).digest()


def test_a_whole_number_is_the_same_as_integer_and_as_real() -> None:
    assert digest_of([1.0, 0.0]) == digest_of([1, 0])
    assert digest_of([1.5]) != digest_of([1])
