"""Commands about PINs and cards. Hashes are made before the transaction, which waits for none."""

from ostiary.commands.registry import Context, Effect, command
from ostiary.commands.services import CommandServices, Presents
from ostiary.errors import NotAllowed, PinWeak, RequestMalformed
from ostiary.hardware.keypad import Entry, printed_number
from ostiary.messages.commands.credentials import (
    AddCardAnswer,
    AddCardRequest,
    CredentialAnswer,
    CredentialRequest,
    CredentialsAnswer,
    CredentialsRequest,
    RemoveCardAnswer,
    RemoveCardRequest,
    RemovePinAnswer,
    RemovePinRequest,
    SetPinAnswer,
    SetPinRequest,
)
from ostiary.messages.username import same_name
from ostiary.people.credential_check import check_pin, hint_of
from ostiary.store.audit import Audit
from ostiary.store.credentials import PinKind


@command("set_pin", changes=True, secret=True, admits=True, audit="pin_set")
def set_pin(
    services: CommandServices, request: SetPinRequest, context: Context
) -> Effect[SetPinAnswer]:
    """Raises UserUnknown, PinWeak, TooManyAttempts."""
    name = services.people.get(request.username).username
    pin = request.pin.get_secret_value()
    check_pin(pin, services.settings.credentials.pin_digits)
    kind: PinKind = "duress" if request.duress else "pin"
    _check_nobodys(services, pin, name, kind, context)
    pin_hash = services.hasher.hash(pin)
    context.check_deadline()

    def effect() -> SetPinAnswer:
        services.credentials.set_pin(name, kind, pin_hash, hint_of(pin), services.clock())
        _updated(services, name, context)
        return SetPinAnswer(username=name, duress=request.duress)

    return effect


@command("remove_pin", changes=True, audit="pin_removed")
def remove_pin(
    services: CommandServices, request: RemovePinRequest, context: Context
) -> Effect[RemovePinAnswer]:
    def effect() -> RemovePinAnswer:
        name = services.people.get(request.username).username
        services.credentials.remove_pin(name, "duress" if request.duress else "pin")
        _updated(services, name, context)
        return RemovePinAnswer(username=name, duress=request.duress)

    return effect


@command("add_card", changes=True, secret=True, admits=True, audit="card_added")
def add_card(
    services: CommandServices, request: AddCardRequest, context: Context
) -> Effect[AddCardAnswer]:
    """Raises UserUnknown, CardTaken, or TimedOut where no card was held to the reader."""
    name = services.people.get(request.username).username
    if request.card is not None:
        number = _card(request.card.get_secret_value())
    else:
        door = services.door_name(request.door)
        number = _card(_credential_check(services).next_card(door, services.limits.camera_s))
    context.check_deadline()

    def effect() -> AddCardAnswer:
        services.credentials.add_card(name, number, services.clock())
        _updated(services, name, context)
        return AddCardAnswer(username=name, cards=services.credentials.holding(name).cards)

    return effect


@command("remove_card", changes=True, secret=True, audit="cards_removed")
def remove_card(
    services: CommandServices, request: RemoveCardRequest, context: Context
) -> Effect[RemoveCardAnswer]:
    def effect() -> RemoveCardAnswer:
        name = services.people.get(request.username).username
        if request.card is None:
            services.credentials.remove_cards(name)
        else:
            services.credentials.remove_card(name, _card(request.card.get_secret_value()))
        _updated(services, name, context)
        return RemoveCardAnswer(username=name, cards=services.credentials.holding(name).cards)

    return effect


@command("credentials")
def credentials(
    services: CommandServices, request: CredentialsRequest, _context: Context
) -> Effect[CredentialsAnswer]:
    def effect() -> CredentialsAnswer:
        name = services.people.get(request.username).username
        holding = services.credentials.holding(name)
        return CredentialsAnswer(
            username=name, pin=holding.pin, duress=holding.duress, cards=holding.cards
        )

    return effect


@command("credential", changes=True, secret=True, acts=True)
def credential(
    services: CommandServices, request: CredentialRequest, _context: Context
) -> Effect[CredentialAnswer]:
    """Present a PIN or a card. The door acts first, outside the transaction of the answer. Whoever
    asks again with the same transaction gets the same answer, and opens nothing."""
    door = services.door_name(request.door)
    if request.pin is not None:
        entry = Entry("pin", request.pin.get_secret_value())
    else:
        assert request.card is not None
        entry = Entry("card", _card(request.card.get_secret_value()))
    claimed = None if request.username is None else same_name(request.username)
    answer = CredentialAnswer(
        door=door, outcome=_credential_check(services).present(door, entry, claimed)
    )
    return lambda: answer


def _credential_check(services: CommandServices) -> Presents:
    if services.credential_check is None:
        raise NotAllowed("PINs and cards are presented to the running daemon only.")
    return services.credential_check


def _card(number: str) -> str:
    known = printed_number(number)
    if known is None:
        raise RequestMalformed(
            "card: digits, hexadecimal ones (04A1B2C3, 04:A1:B2:C3), or facility and number "
            "(123,45678)."
        )
    return known


def _check_nobodys(
    services: CommandServices, pin: str, name: str, kind: PinKind, context: Context
) -> None:
    """Check that nobody else has this PIN: a PIN alone has to identify its person. Whose it is, is
    never told. That it is somebody's, is told to those who ask seldom, and each time to the
    audit."""
    services.pins_taken.check("set_pin")
    for pins in services.credentials.pins_like(hint_of(pin)):
        hashes = {"pin": pins.pin, "duress": pins.duress}
        if pins.username == name:
            del hashes[kind]  # it is being replaced
        if any(each is not None and services.hasher.verify(each, pin) for each in hashes.values()):
            Audit(services.people.database).add(
                actor=context.actor,
                action="pin_refused",
                subject=name,
                address=context.asker.way,
                now=services.clock(),
            )
            services.pins_taken.attempt("set_pin")
            raise PinWeak("Take another PIN: this one cannot be used.")


def _updated(services: CommandServices, name: str, context: Context) -> None:
    services.events.append_user(
        action="updated", username=name, source=context.source, now=services.clock()
    )
