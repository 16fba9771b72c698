"""Errors of building models, in the form of `ostiary.errors`: each has a stable code."""

from ostiary.errors import OstiaryError


class CatalogueInvalid(OstiaryError):
    """models.toml is missing, is not TOML, or lacks a field."""

    code = "catalogue_invalid"
    exit_status = 78


class HashMismatch(OstiaryError):
    """A file is not the file it should be."""

    code = "hash_mismatch"
    exit_status = 65


class FacesInvalid(OstiaryError):
    """A folder of pictures from which recognition cannot be measured."""

    code = "faces_invalid"
    exit_status = 65


class NotEqual(OstiaryError):
    """A built model does not compute what its original computes."""

    code = "not_equal"
    exit_status = 65


class SourceInvalid(OstiaryError):
    """A file of weights has another format, other layers, or is cut short."""

    code = "source_invalid"
    exit_status = 65


class SourceUnreachable(OstiaryError):
    """A file of weights is in no mirror folder and at no address that could be reached."""

    code = "source_unreachable"
    exit_status = 69
