"""Settings are changed in the file that people edit: its comments and its order stay."""

import tomllib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ostiary.errors import ConfigError
from ostiary.settings import Settings
from ostiary.settings.file import edited, render

MINE = """\
# my door
[mqtt]
host = "broker"  # in the cellar, #2
#username = ""
port = 1883

[[cameras]]
name = "front"
source = "0" # by the door

[[cameras]]
name = "back"
source = "1"
"""


def test_a_value_is_changed_and_its_comments_stay() -> None:
    made = edited(MINE, {"mqtt": {"host": "other", "username": "door"}, "cameras": {"source": "7"}})
    assert made == (
        MINE.replace('"broker"', '"other"')
        .replace('#username = ""', 'username = "door"')
        .replace('source = "0" #', 'source = "7" #')
    )


def test_what_is_not_there_yet_is_put_in_and_what_is_taken_back_is_commented_out() -> None:
    made = edited(MINE, {"mqtt": {"host": None, "discovery": True}, "relay": {"line": "LOCK"}})
    assert '#host = "broker"  # in the cellar, #2' in made
    read = tomllib.loads(made)
    assert read["mqtt"] == {"discovery": True, "port": 1883}
    assert read["relay"] == {"line": "LOCK"}


def test_what_cannot_be_changed_in_one_line_is_left_to_people() -> None:
    for text in (MINE.replace('"broker"', '"""\nbroker"""'), 'mqtt.host = "broker"\n'):
        with pytest.raises(ConfigError, match=r"by hand.* mqtt\.host"):
            edited(text, {"mqtt": {"host": "other"}})
    for text in ("cameras = []\n", 'cameras = [{source = "1"}]\n'):
        with pytest.raises(ConfigError, match=r"by hand.* cameras\.source"):
            edited(text, {"cameras": {"source": "0"}})
    with pytest.raises(ConfigError, match="not valid TOML"):
        edited("[mqtt", {"mqtt": {"host": "other"}})


def test_the_first_camera_is_put_into_a_file_without_any() -> None:
    made = edited(
        "# a new door\n", {"cameras": {"name": "front", "source": "0"}, "http": {"tls_key": None}}
    )
    assert tomllib.loads(made) == {"cameras": [{"name": "front", "source": "0"}]}


@settings(max_examples=40)
@given(st.text(), st.one_of(st.none(), st.text(), st.integers(-(2**53), 2**53), st.booleans()))
def test_whatever_is_set_in_the_shipped_file_is_read_again_and_nothing_else_changes(
    name: str, value: str | int | None
) -> None:
    shipped = render(Settings.model_construct())
    made = edited(shipped, {"device": {"name": name}, "http": {"tls_key": value}})
    before, after = tomllib.loads(shipped), tomllib.loads(made)
    assert after["device"].pop("name") == name
    assert after["http"].pop("tls_key", None) == value
    del before["device"]["name"]
    assert before == after
    changed = set(made.split("\n")) - set(shipped.split("\n"))
    assert len(changed) <= 2
