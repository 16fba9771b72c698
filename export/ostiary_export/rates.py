"""The measured error rates of each recogniser, as its built file carries them.

`ostiary-export evaluate --write-rates` writes resources/recognition.toml; a model is built with its
table as metadata, so that the network and what is known of its errors cannot come apart.
"""

import json
import tomllib
from pathlib import Path

from ostiary.messages.words import RecognizerName
from ostiary.vision.recognizer import RATES_KEY, ErrorRates
from ostiary_export.errors import SourceInvalid

FILE = "recognition.toml"


def rates_metadata(path: Path, name: RecognizerName) -> dict[str, str]:
    """The metadata for the recogniser `name`. Raises SourceInvalid where it was not measured."""
    try:
        table = tomllib.loads(path.read_text("utf-8"))[name]
        text = json.dumps(table)
        ErrorRates.from_json(text)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SourceInvalid(
            f"{path}: no error rates of {name}: {error}. Measure them with "
            "`ostiary-export evaluate FOLDER --write-rates`."
        ) from error
    return {RATES_KEY: text}
