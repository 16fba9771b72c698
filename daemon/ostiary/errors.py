"""Every error a person or a program may meet, each with a stable code.

`code` is what MQTT answers and HTTP problem documents carry; `exit_status` is what the command
line ends with (sysexits.h). The message says what was wrong and what to do about it, and never
holds a descriptor, an image or a secret.
"""

from typing import ClassVar


class OstiaryError(Exception):
    """Base of all errors that are told to somebody."""

    code: ClassVar[str] = "internal_error"
    exit_status: ClassVar[int] = 70

    @property
    def message(self) -> str:
        return str(self)


# --- set-up ---------------------------------------------------------------------------------


class ConfigError(OstiaryError):
    """The configuration has an unknown key, a wrong value, or is not TOML."""

    code = "config_invalid"
    exit_status = 78


class FileDenied(OstiaryError):
    """A file may not be read or written by this user, or cannot be."""

    code = "file_denied"
    exit_status = 77


class ModelMissing(OstiaryError):
    """A model file is not where it should be."""

    code = "model_missing"
    exit_status = 66


class ModelInvalid(OstiaryError):
    """A model file is there but is not the model it should be."""

    code = "model_invalid"
    exit_status = 65


class CameraUnavailable(OstiaryError):
    """A camera does not open, or gives no picture."""

    code = "camera_unavailable"
    exit_status = 69


class BackupRefused(OstiaryError):
    """A backup would be written over something, or is the database itself."""

    code = "backup_refused"
    exit_status = 73


class DatabaseCorrupt(OstiaryError):
    """The database file fails SQLite's own check."""

    code = "database_corrupt"
    exit_status = 65


class DatabaseInUse(OstiaryError):
    """The database file is open in a running program and must not be replaced now."""

    code = "database_in_use"
    exit_status = 75


class DatabaseUnwritable(OstiaryError):
    """The database cannot be written: read-only, no space, or no permission."""

    code = "database_unwritable"
    exit_status = 73


class DatabaseVersion(OstiaryError):
    """The database was written by a newer Ostiary, or is not one of ours."""

    code = "database_version"
    exit_status = 65


class ImportInvalid(OstiaryError):
    """The file to import is not there, or not a database of the first version."""

    code = "import_invalid"
    exit_status = 65


class StoreLocked(OstiaryError):
    """The database is sealed, and the store's key is missing or another one."""

    code = "store_locked"
    exit_status = 77


class SealBroken(OstiaryError):
    """A sealed value was altered, or put in another's place."""

    code = "seal_broken"
    exit_status = 65


class LogAltered(OstiaryError):
    """The log does not fit its chain, and what was asked for would hide that."""

    code = "log_altered"
    exit_status = 65


class RecoveryWordsWrong(OstiaryError):
    """The recovery words have a mistake, or are another backup's."""

    code = "recovery_words_wrong"
    exit_status = 65


class RelayUnavailable(OstiaryError):
    """The GPIO line of the door's relay cannot be taken."""

    code = "relay_unavailable"
    exit_status = 69


class InputUnavailable(OstiaryError):
    """A line, a keypad or a card reader cannot be read."""

    code = "input_unavailable"
    exit_status = 69


class BrokerUnavailable(OstiaryError):
    """The MQTT broker cannot be reached or refuses the connection."""

    code = "broker_unavailable"
    exit_status = 69


# --- images and faces -----------------------------------------------------------------------


class ImageInvalid(OstiaryError):
    """The bytes are not a whole JPEG, PNG or WebP image."""

    code = "image_invalid"
    exit_status = 65


class ImageTooLarge(OstiaryError):
    """The image has more bytes or pixels than allowed."""

    code = "image_too_large"
    exit_status = 65


class DecoderUnavailable(OstiaryError):
    """The process that decodes pictures does not run."""

    code = "decoder_unavailable"
    exit_status = 69


class NoFace(OstiaryError):
    """No face where one is needed."""

    code = "no_face"
    exit_status = 65


class SeveralFaces(OstiaryError):
    """More than one face where exactly one is needed."""

    code = "several_faces"
    exit_status = 65


class FaceCovered(OstiaryError):
    """The mouth or the eyes are covered; nobody is enrolled so: such faces resemble each other."""

    code = "face_covered"
    exit_status = 65


class LowQuality(OstiaryError):
    """The face is too small, too blurred, too dark or turned away."""

    code = "low_quality"
    exit_status = 65


class NotLive(OstiaryError):
    """The face is judged to be a photo or a screen."""

    code = "presentation_attack"
    exit_status = 65

    def __init__(self) -> None:
        super().__init__("The face is judged to be a photo or a screen; a live person is needed.")


# --- people ---------------------------------------------------------------------------------


class RecognizerMismatch(OstiaryError):
    """Templates of a recogniser that this door does not run, or of two at once."""

    code = "recognizer_mismatch"
    exit_status = 65


class AlreadyRegistered(OstiaryError):
    """The face to enrol is already somebody else's."""

    code = "already_registered"
    exit_status = 65


class NotThisPerson(OstiaryError):
    """The face is too far from the person whom it is meant for, or the pictures show several."""

    code = "not_this_person"
    exit_status = 65


class DescriptorInvalid(OstiaryError):
    """A face descriptor has the wrong length or a number that is not finite."""

    code = "descriptor_invalid"
    exit_status = 65


class LastTemplate(OstiaryError):
    """A person's only template cannot be removed: delete the person instead."""

    code = "last_template"
    exit_status = 65


class TemplateUnknown(OstiaryError):
    """There is no such template."""

    code = "template_unknown"
    exit_status = 65


class UsernameInvalid(OstiaryError):
    """A user name is empty, too long, or has control characters."""

    code = "username_invalid"
    exit_status = 65


class UserExists(OstiaryError):
    """The name is taken."""

    code = "user_exists"
    exit_status = 65


class UserUnknown(OstiaryError):
    """Nobody has that name."""

    code = "user_unknown"
    exit_status = 65


class PinWeak(OstiaryError):
    """The PIN is too short, too easy to guess, or somebody's already."""

    code = "pin_weak"
    exit_status = 65


class CardTaken(OstiaryError):
    """The card is somebody's already."""

    code = "card_taken"
    exit_status = 65


class CredentialUnknown(OstiaryError):
    """The person has no such PIN or card."""

    code = "credential_unknown"
    exit_status = 65


class DoorUnknown(OstiaryError):
    """There is no door of that name."""

    code = "door_unknown"
    exit_status = 65


class DoorNotRunning(OstiaryError):
    """No door runs on this machine, or its socket is not there."""

    code = "door_not_running"
    exit_status = 69


# --- rules ----------------------------------------------------------------------------------


class GroupInvalid(OstiaryError):
    """A group's or rule's name is empty, too long, or has characters that lists need."""

    code = "group_invalid"
    exit_status = 65


class GroupExists(OstiaryError):
    """There is a group of that name."""

    code = "group_exists"
    exit_status = 65


class GroupUnknown(OstiaryError):
    """There is no group of that name."""

    code = "group_unknown"
    exit_status = 65


class GroupInUse(OstiaryError):
    """Somebody is in the group, or a rule names it: without it they might pass anywhere."""

    code = "group_in_use"
    exit_status = 65


class RuleExists(OstiaryError):
    """There is another rule of that name."""

    code = "rule_exists"
    exit_status = 65


class RuleUnknown(OstiaryError):
    """There is no rule of that name."""

    code = "rule_unknown"
    exit_status = 65


class ScheduleInvalid(OstiaryError):
    """Hours that are none: no day, no time between start and end, or no hours at all."""

    code = "schedule_invalid"
    exit_status = 65


class ScheduleOverlaps(OstiaryError):
    """Two of a rule's hours hold at the same time."""

    code = "schedule_overlaps"
    exit_status = 65


class PeriodInvalid(OstiaryError):
    """A first or last moment that is none, or an end before its start."""

    code = "period_invalid"
    exit_status = 65


class LocksEverybodyOut(OstiaryError):
    """Nobody could pass a door any more: say so once more with `confirm`."""

    code = "locks_everybody_out"
    exit_status = 65


class PeopleListInvalid(OstiaryError):
    """A list of people is no CSV, lacks the column of names, or is too long."""

    code = "people_list_invalid"
    exit_status = 65


class PhotoMissing(OstiaryError):
    """Somebody new in a list of people has no photo, or it is not where the list says."""

    code = "photo_missing"
    exit_status = 66


# --- commands -------------------------------------------------------------------------------


class RequestMalformed(OstiaryError):
    """A command is not JSON, has an unknown field, or a value of the wrong type."""

    code = "request_malformed"
    exit_status = 65


class AnswerTooLarge(OstiaryError):
    """An answer has more bytes than the MQTT broker takes."""

    code = "answer_too_large"
    exit_status = 65


class RequestTooLarge(OstiaryError):
    """A command has more bytes than allowed."""

    code = "request_too_large"
    exit_status = 65


class RequestLate(OstiaryError):
    """A request was begun and not ended in time."""

    code = "request_late"
    exit_status = 75


class CommandUnknown(OstiaryError):
    """There is no such command."""

    code = "command_unknown"
    exit_status = 64


class NotAllowed(OstiaryError):
    """The configuration or the caller's role does not permit this."""

    code = "not_allowed"
    exit_status = 77


class SignatureInvalid(OstiaryError):
    """A command has to be signed and is not, or wrongly, too long ago, or for the second time."""

    code = "signature_invalid"
    exit_status = 77


class TransactionConflict(OstiaryError):
    """A transaction id was used before, with another request."""

    code = "transaction_conflict"
    exit_status = 65


class Busy(OstiaryError):
    """Too many commands are waiting."""

    code = "busy"
    exit_status = 75


class TimedOut(OstiaryError):
    """A command was not finished, or a camera gave no usable face, in time."""

    code = "timed_out"
    exit_status = 75


# --- console --------------------------------------------------------------------------------


class AccountExists(OstiaryError):
    """The console has an account of that name, or was set up already."""

    code = "account_exists"
    exit_status = 65


class AccountUnknown(OstiaryError):
    """The console has no account of that name."""

    code = "account_unknown"
    exit_status = 65


class CameraUnknown(OstiaryError):
    """There is no camera of that name."""

    code = "camera_unknown"
    exit_status = 65


class LastOperator(OstiaryError):
    """The only operator cannot be removed."""

    code = "last_operator"
    exit_status = 65


class NotSignedIn(OstiaryError):
    """Nobody is signed in, and no valid token was sent."""

    code = "not_signed_in"
    exit_status = 77


class PasswordWeak(OstiaryError):
    """The password is too short, too long, or is the account's name."""

    code = "password_weak"
    exit_status = 65


class SettingInvalid(OstiaryError):
    """A setting that is changed while running is out of range or contradicts another."""

    code = "setting_invalid"
    exit_status = 65


class ConfirmationNeeded(OstiaryError):
    """Giving somebody a way in has to be confirmed: by the password, or by a signature."""

    code = "confirmation_needed"
    exit_status = 77


class PasswordsDiffer(OstiaryError):
    """A new password was typed twice, and differently."""

    code = "passwords_differ"
    exit_status = 65


class PictureUnfit(OstiaryError):
    """No template is made of an event's picture but of a live, unknown face near to somebody's."""

    code = "picture_unfit"
    exit_status = 65


class SetUpCodeWrong(OstiaryError):
    """That is not the console's one-time set-up code."""

    code = "set_up_code_wrong"
    exit_status = 77


class SignInFailed(OstiaryError):
    """Wrong name or password."""

    code = "sign_in_failed"
    exit_status = 77


class SnapshotUnknown(OstiaryError):
    """No picture of that event was kept."""

    code = "snapshot_unknown"
    exit_status = 65


class TokenExists(OstiaryError):
    """There is an API token of that name."""

    code = "token_exists"
    exit_status = 65


class TokenUnknown(OstiaryError):
    """There is no such API token."""

    code = "token_unknown"
    exit_status = 65


class TooManyAttempts(OstiaryError):
    """Too many requests or failed sign-ins; wait."""

    code = "too_many_attempts"
    exit_status = 75


class SiteNotJoined(OstiaryError):
    """This door belongs to no site, or does not know anything of it yet."""

    code = "site_not_joined"
    exit_status = 78


class SiteRefused(OstiaryError):
    """The site's key-holder, or what the broker keeps of the site, does not allow that."""

    code = "site_refused"
    exit_status = 77


class ArchiveUnavailable(OstiaryError):
    """The archive's PostgreSQL cannot be reached, or refuses what is to be kept."""

    code = "archive_unavailable"
    exit_status = 69


class InvitationInvalid(OstiaryError):
    """The code of an invitation has a mistake, or nobody answers to it."""

    code = "invitation_invalid"
    exit_status = 65


class ClipsInvalid(OstiaryError):
    """A folder of recorded visits lacks people, or has too few clips of a kind."""

    code = "clips_invalid"
    exit_status = 65


class SittingIncomplete(OstiaryError):
    """A sitting has too few people, kinds of attack or frames to calibrate a camera."""

    code = "sitting_incomplete"
    exit_status = 65


class SittingMixed(OstiaryError):
    """A sitting has one person under two names, two under one, or another camera in between."""

    code = "sitting_mixed"
    exit_status = 65


class CalibrationRefused(OstiaryError):
    """A camera's last layer is no better than the networks themselves on people left out."""

    code = "calibration_refused"
    exit_status = 65


class PicturesNotKept(OstiaryError):
    """The folder that was named for a sitting's pictures cannot be written."""

    code = "pictures_not_kept"
    exit_status = 73


class NotCalibrated(OstiaryError):
    """A camera has no last layer of its own to forget."""

    code = "not_calibrated"
    exit_status = 66


class LastLayerInvalid(OstiaryError):
    """A camera's last layer is cut off, holds what is no number, or reads another network."""

    code = "last_layer_invalid"
    exit_status = 65


def error_of(code: str) -> type[OstiaryError]:
    """The class with this code, for an error that was told by another process."""
    kinds = {kind.code: kind for kind in OstiaryError.__subclasses__()}
    return kinds.get(code, OstiaryError)
