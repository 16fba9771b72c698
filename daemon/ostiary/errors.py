"""Every error a person or a program may meet, each with a stable code.

`code` is what MQTT answers and HTTP problem documents carry; `exit_status` is what the command
line ends with (sysexits.h; 65: what was given is wrong). The message says what was wrong and what
to do about it, and never holds a descriptor, an image or a secret.
"""

from typing import ClassVar


class OstiaryError(Exception):
    """Base of all errors that are told to somebody."""

    code: ClassVar[str] = "internal_error"
    exit_status: ClassVar[int] = 70

    def __init_subclass__(cls, *, code: str | None = None, exit_status: int = 65) -> None:
        if code is not None:
            cls.code, cls.exit_status = code, exit_status

    @property
    def message(self) -> str:
        return str(self)


# --- set-up ---
class ConfigError(OstiaryError, code="config_invalid", exit_status=78):
    """The configuration has an unknown key, a wrong value, or is not TOML."""


class FileDenied(OstiaryError, code="file_denied", exit_status=77):
    """This user may not read or write a file, or it cannot be read or written."""


class ModelMissing(OstiaryError, code="model_missing", exit_status=66):
    """A model file is not where it should be."""


class ModelInvalid(OstiaryError, code="model_invalid"):
    """A model file is there but is not the model it should be."""


class CameraUnavailable(OstiaryError, code="camera_unavailable", exit_status=69):
    """A camera does not open, or gives no picture."""


class BackupRefused(OstiaryError, code="backup_refused", exit_status=73):
    """A backup would be written over something, or is the database itself."""


class DatabaseCorrupt(OstiaryError, code="database_corrupt"):
    """The database file fails SQLite's own check."""


class DatabaseInUse(OstiaryError, code="database_in_use", exit_status=75):
    """The database file is open in a running program and must not be replaced now."""


class DatabaseUnwritable(OstiaryError, code="database_unwritable", exit_status=73):
    """The database cannot be written: read-only, no space, or no permission."""


class DatabaseVersion(OstiaryError, code="database_version"):
    """The database was written by a newer Ostiary, or is not one of ours."""


class ImportInvalid(OstiaryError, code="import_invalid"):
    """The file to import is not there, or not a database of the first version."""


class StoreLocked(OstiaryError, code="store_locked", exit_status=77):
    """The database is sealed, and the store's key is missing or another one."""


class SealBroken(OstiaryError, code="seal_broken"):
    """A sealed value was altered, or put in another's place."""


class LogAltered(OstiaryError, code="log_altered"):
    """The log does not fit its chain, and the command would hide that."""


class RecoveryWordsWrong(OstiaryError, code="recovery_words_wrong"):
    """The recovery words have a mistake, or are another backup's."""


class RelayUnavailable(OstiaryError, code="relay_unavailable", exit_status=69):
    """The GPIO line of the door's relay cannot be taken."""


class InputUnavailable(OstiaryError, code="input_unavailable", exit_status=69):
    """A line, a keypad or a card reader cannot be read."""


class BrokerUnavailable(OstiaryError, code="broker_unavailable", exit_status=69):
    """The MQTT broker cannot be reached or refuses the connection."""


# --- images and faces ---
class ImageInvalid(OstiaryError, code="image_invalid"):
    """The bytes are not a whole JPEG, PNG or WebP image."""


class ImageTooLarge(OstiaryError, code="image_too_large"):
    """The image has more bytes or pixels than allowed."""


class DecoderUnavailable(OstiaryError, code="decoder_unavailable", exit_status=69):
    """The process that decodes pictures does not run."""


class NoFace(OstiaryError, code="no_face"):
    """No face where one is needed."""


class SeveralFaces(OstiaryError, code="several_faces"):
    """More than one face where exactly one is needed."""


class FaceCovered(OstiaryError, code="face_covered"):
    """The mouth or the eyes are covered. Nobody is enrolled so, since such faces resemble each
    other."""


class LowQuality(OstiaryError, code="low_quality"):
    """The face is too small, too blurred, too dark or turned away."""


class NotLive(OstiaryError, code="presentation_attack"):
    """The face is judged to be a photo or a screen."""

    def __init__(self) -> None:
        super().__init__("The face is judged to be a photo or a screen; a live person is needed.")


# --- people ---
class RecognizerMismatch(OstiaryError, code="recognizer_mismatch"):
    """Templates of a recogniser that this door does not run, or of two at once."""


class AlreadyRegistered(OstiaryError, code="already_registered"):
    """The face to enrol is already somebody else's."""


class NotThisPerson(OstiaryError, code="not_this_person"):
    """The face is too far from the person whom it is meant for, or the pictures show several."""


class DescriptorInvalid(OstiaryError, code="descriptor_invalid"):
    """A face descriptor has the wrong length or a number that is not finite."""


class LastTemplate(OstiaryError, code="last_template"):
    """A person's only template cannot be removed: delete the person instead."""


class TemplateUnknown(OstiaryError, code="template_unknown"):
    """There is no such template."""


class UsernameInvalid(OstiaryError, code="username_invalid"):
    """A user name is empty, too long, or has control characters."""


class UserExists(OstiaryError, code="user_exists"):
    """The name is taken."""


class UserUnknown(OstiaryError, code="user_unknown"):
    """Nobody has that name."""


class PinWeak(OstiaryError, code="pin_weak"):
    """The PIN is too short, too easy to guess, or somebody's already."""


class CardTaken(OstiaryError, code="card_taken"):
    """The card is somebody's already."""


class CredentialUnknown(OstiaryError, code="credential_unknown"):
    """The person has no such PIN or card."""


class DoorUnknown(OstiaryError, code="door_unknown"):
    """There is no door of that name."""


class DoorNotRunning(OstiaryError, code="door_not_running", exit_status=69):
    """No door runs on this machine, or its socket is not there."""


# --- rules ---
class GroupInvalid(OstiaryError, code="group_invalid"):
    """A group's or rule's name is empty, too long, or has characters that lists need."""


class GroupExists(OstiaryError, code="group_exists"):
    """There is a group of that name."""


class GroupUnknown(OstiaryError, code="group_unknown"):
    """There is no group of that name."""


class GroupInUse(OstiaryError, code="group_in_use"):
    """Somebody is in the group, or a rule names it: without it they might pass anywhere."""


class RuleExists(OstiaryError, code="rule_exists"):
    """There is another rule of that name."""


class RuleUnknown(OstiaryError, code="rule_unknown"):
    """There is no rule of that name."""


class ScheduleInvalid(OstiaryError, code="schedule_invalid"):
    """Hours cannot be used: no day, no time between start and end, or no hours at all."""


class ScheduleOverlaps(OstiaryError, code="schedule_overlaps"):
    """Two of a rule's hours hold at the same time."""


class PeriodInvalid(OstiaryError, code="period_invalid"):
    """A first or last moment that does not exist, or an end before its start."""


class LocksEverybodyOut(OstiaryError, code="locks_everybody_out"):
    """Nobody could pass a door any more: say so once more with `confirm`."""


class PeopleListInvalid(OstiaryError, code="people_list_invalid"):
    """A list of people is no CSV, lacks the column of names, or is too long."""


class PhotoMissing(OstiaryError, code="photo_missing", exit_status=66):
    """Somebody new in a list of people has no photo, or it is not where the list says."""


# --- commands ---
class RequestMalformed(OstiaryError, code="request_malformed"):
    """A command is not JSON, has an unknown field, or a value of the wrong type."""


class AnswerTooLarge(OstiaryError, code="answer_too_large"):
    """An answer has more bytes than the MQTT broker takes."""


class RequestTooLarge(OstiaryError, code="request_too_large"):
    """A command has more bytes than allowed."""


class RequestLate(OstiaryError, code="request_late", exit_status=75):
    """A request was begun and not ended in time."""


class CommandUnknown(OstiaryError, code="command_unknown", exit_status=64):
    """There is no such command."""


class NotAllowed(OstiaryError, code="not_allowed", exit_status=77):
    """The configuration or the caller's role does not permit this."""


class SignatureInvalid(OstiaryError, code="signature_invalid", exit_status=77):
    """A command has to be signed, and is not, or was signed wrongly, too long ago, or before."""


class TransactionConflict(OstiaryError, code="transaction_conflict"):
    """A transaction id was used before, with another request."""


class Busy(OstiaryError, code="busy", exit_status=75):
    """Too many commands are waiting."""


class TimedOut(OstiaryError, code="timed_out", exit_status=75):
    """A command was not finished, or a camera gave no usable face, in time."""


# --- console ---
class AccountExists(OstiaryError, code="account_exists"):
    """The console has an account of that name, or was set up already."""


class AccountUnknown(OstiaryError, code="account_unknown"):
    """The console has no account of that name."""


class CameraUnknown(OstiaryError, code="camera_unknown"):
    """There is no camera of that name."""


class LastOperator(OstiaryError, code="last_operator"):
    """The only operator cannot be removed."""


class NotSignedIn(OstiaryError, code="not_signed_in", exit_status=77):
    """Nobody is signed in, and no valid token was sent."""


class PasswordWeak(OstiaryError, code="password_weak"):
    """The password is too short, too long, or is the account's name."""


class SettingInvalid(OstiaryError, code="setting_invalid"):
    """A setting that is changed while running is out of range or contradicts another."""


class ConfirmationNeeded(OstiaryError, code="confirmation_needed", exit_status=77):
    """Giving somebody a way in has to be confirmed: by the password, or by a signature."""


class PasswordsDiffer(OstiaryError, code="passwords_differ"):
    """A new password was typed twice, and differently."""


class PictureUnfit(OstiaryError, code="picture_unfit"):
    """Only an event's picture of a live, unknown face that is near to somebody's becomes a
    template."""


class SetUpCodeWrong(OstiaryError, code="set_up_code_wrong", exit_status=77):
    """That is not the console's one-time set-up code."""


class SignInFailed(OstiaryError, code="sign_in_failed", exit_status=77):
    """Wrong name or password."""


class SnapshotUnknown(OstiaryError, code="snapshot_unknown"):
    """No picture of that event was kept."""


class TokenExists(OstiaryError, code="token_exists"):
    """There is an API token of that name."""


class TokenUnknown(OstiaryError, code="token_unknown"):
    """There is no such API token."""


class TooManyAttempts(OstiaryError, code="too_many_attempts", exit_status=75):
    """Too many requests or failed sign-ins; wait."""


# --- sites and the archive ---
class SiteNotJoined(OstiaryError, code="site_not_joined", exit_status=78):
    """This door belongs to no site, or does not know anything of it yet."""


class SiteRefused(OstiaryError, code="site_refused", exit_status=77):
    """The site's key-holder, or what the broker keeps of the site, does not allow that."""


class ArchiveUnavailable(OstiaryError, code="archive_unavailable", exit_status=69):
    """The archive's PostgreSQL cannot be reached, or refuses what is to be kept."""


class InvitationInvalid(OstiaryError, code="invitation_invalid"):
    """The code of an invitation has a mistake, or nobody answers to it."""


# --- calibration ---
class ClipsInvalid(OstiaryError, code="clips_invalid"):
    """A folder of recorded visits lacks people, or has too few clips of a kind."""


class SittingIncomplete(OstiaryError, code="sitting_incomplete"):
    """A sitting has too few people, kinds of attack or frames to calibrate a camera."""


class SittingMixed(OstiaryError, code="sitting_mixed"):
    """A sitting has one person under two names, two under one, or another camera in between."""


class CalibrationRefused(OstiaryError, code="calibration_refused"):
    """A camera's last layer is no better than the networks themselves on people left out."""


class PicturesNotKept(OstiaryError, code="pictures_not_kept", exit_status=73):
    """The folder that was named for a sitting's pictures cannot be written."""


class NotCalibrated(OstiaryError, code="not_calibrated", exit_status=66):
    """A camera has no last layer of its own to forget."""


class LastLayerInvalid(OstiaryError, code="last_layer_invalid"):
    """A camera's last layer is cut off, holds a value that is no number, or is made for another
    network."""


def error_of(code: str) -> type[OstiaryError]:
    """The class with this code, for an error that was told by another process."""
    kinds = {kind.code: kind for kind in OstiaryError.__subclasses__()}
    return kinds.get(code, OstiaryError)
