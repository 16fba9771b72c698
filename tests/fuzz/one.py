"""One target under atheris: `python -m tests.fuzz.one NAME [options of libFuzzer] [corpora]`."""

import sys

import atheris

NAME = sys.argv.pop(1)

with atheris.instrument_imports(include=["ostiary", "tomllib", "starlette.formparsers"]):
    from tests.fuzz.targets import run


def one_input(data: bytes) -> None:
    run(NAME, data)


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
