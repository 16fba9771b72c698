"""Thresholds, accounts, tokens, and who changed what."""

import secrets
from typing import Annotated

from fastapi import APIRouter, Path, Query

from ostiary.errors import SignInFailed, UsernameInvalid
from ostiary.http.authenticator import (
    TOKEN_PREFIX,
    Authenticator,
    Caller,
    Confirmed,
    Operator,
    Passwords,
    Viewer,
    check_strength,
    guesses_of,
)
from ostiary.http.messages import (
    AccountList,
    AccountRecord,
    AuditPage,
    AuditRecord,
    ChangedOutcome,
    NewAccount,
    NewPassword,
    NewToken,
    OwnPassword,
    ThresholdPreview,
    ThresholdValues,
    TokenList,
    TokenMade,
    TokenRecord,
)
from ostiary.http.messages import Thresholds as ThresholdsAnswer
from ostiary.http.parts import ConsoleParts
from ostiary.http.problems import responses
from ostiary.http.routes import Turns
from ostiary.http.thresholds import ThresholdEditor
from ostiary.limits.lock_out import LockOut
from ostiary.settings.access import ADJUSTABLE
from ostiary.settings.overrides import Values
from ostiary.store.accounts import KIOSK, Account, Accounts, ApiToken, ApiTokens, Session, Sessions
from ostiary.store.audit import Audit

AccountName = Annotated[str, Path(min_length=1, examples=["anna"])]


def thresholds_router(
    thresholds: ThresholdEditor, parts: ConsoleParts, authenticator: Authenticator, turns: Turns
) -> APIRouter:
    router = APIRouter(tags=["thresholds"], responses=responses(401, 429, 503))

    @router.get("/settings", summary="The thresholds in force")
    def settings(_caller: Viewer) -> ThresholdsAnswer:
        return _thresholds(thresholds)

    @router.post(
        "/settings/preview",
        summary="What thresholds would have done to the last decisions",
        responses=responses(422),
    )
    def preview(values: ThresholdValues, _caller: Viewer) -> ThresholdPreview:
        """Changes nothing. Nearly exact: an event keeps the medians of its frames."""
        with turns.turn():
            found = thresholds.preview(_values(values))
        return ThresholdPreview(
            judged=found.judged,
            unknown=found.unknown,
            granted_before=found.granted_before,
            granted_after=found.granted_after,
            changes=tuple(
                ChangedOutcome(
                    seq=change.event.seq,
                    timestamp=change.event.timestamp,
                    username=change.event.username,
                    distance=change.event.distance,
                    liveness=change.event.liveness,
                    before=change.event.reason,
                    after=change.reason,
                )
                for change in found.changes
            ),
            threshold=found.threshold.distance,
            risk=found.threshold.false_accept,
            turns_most_away=found.threshold.turns_most_away,
        )

    @router.patch("/settings", summary="Set thresholds", responses=responses(403, 422))
    def change(values: ThresholdValues, caller: Confirmed) -> ThresholdsAnswer:
        """At once and for good: kept beside the database, over the configuration file."""
        changed = _values(values)
        with parts.database.transaction():
            authenticator.note(caller, "thresholds_set", "access", changed)
            thresholds.set(changed)
        return _thresholds(thresholds)

    @router.delete("/settings", summary="Back to the configuration", responses=responses(403))
    def reset(caller: Confirmed) -> ThresholdsAnswer:
        with parts.database.transaction():
            authenticator.note(caller, "thresholds_reset", "access")
            thresholds.reset()
        return _thresholds(thresholds)

    return router


def accounts_router(
    parts: ConsoleParts, authenticator: Authenticator, passwords: Passwords, lock_out: LockOut
) -> APIRouter:
    router = APIRouter(tags=["accounts"], responses=responses(401, 403, 429, 503))
    accounts, sessions = Accounts(parts.database), Sessions(parts.database)
    tokens = ApiTokens(parts.database)

    def said(caller: Caller, password: str) -> Session:
        """Whose password it is. A wrong one counts as one at sign-in does."""
        if caller.session is None:
            raise SignInFailed("A token has no password; sign in.")
        account = caller.session.account
        keys = guesses_of(account, caller.address)
        lock_out.attempt(*keys)
        if not passwords.verify(accounts.password_hash(account), password):
            raise SignInFailed("The password is wrong.")
        lock_out.succeeded(*keys)
        return caller.session

    @router.get("/accounts", summary="Who may sign in")
    def listed(_caller: Operator) -> AccountList:
        return AccountList(accounts=tuple(map(_account, accounts.list())))

    @router.post(
        "/accounts", status_code=201, summary="Let somebody sign in", responses=responses(409, 422)
    )
    def add(new: NewAccount, caller: Confirmed) -> AccountRecord:
        check_strength(new.password, new.name)
        hashed = passwords.hash(new.password)
        with parts.database.transaction():
            account = accounts.add(new.name, hashed, new.role, parts.clock())
            authenticator.note(caller, "account_added", account.name, {"role": account.role.value})
        return _account(account)

    @router.put(
        "/password", status_code=204, summary="Change one's own password", responses=responses(422)
    )
    def change_password(new: NewPassword, caller: Viewer) -> None:
        """Ends all one's sessions. Only for somebody who is signed in."""
        account = said(caller, new.current).account
        check_strength(new.password, account)
        hashed = passwords.hash(new.password)
        with parts.database.transaction():
            accounts.set_password(account, hashed, parts.clock())
            sessions.close_all_of(account)
            authenticator.note(caller, "password_changed", account)

    @router.post(
        "/confirmation",
        status_code=204,
        summary="Say one's password again",
        responses=responses(422),
    )
    def confirm(sent: OwnPassword, caller: Viewer) -> None:
        """For `http.confirm_after_s` this session may then give somebody a way in: what was
        answered `confirmation_needed` is asked once more. Only for somebody who is signed in."""
        session = said(caller, sent.password)
        authenticator.confirmations.confirm(session, caller.address)
        authenticator.note(caller, "password_said", session.account)

    @router.delete(
        "/accounts/{name:path}",
        summary="Somebody may no longer sign in",
        responses=responses(404, 409, 422),
    )
    def delete(name: AccountName, caller: Confirmed) -> AccountRecord:
        """The API tokens that they made go with them."""
        with parts.database.transaction():
            account = accounts.delete(name)
            gone = tokens.delete_made_by(account.name)
            authenticator.note(caller, "account_deleted", account.name, {"tokens": gone})
        return _account(account)

    return router


def tokens_router(parts: ConsoleParts, authenticator: Authenticator) -> APIRouter:
    router = APIRouter(tags=["tokens"], responses=responses(401, 403, 429, 503))
    tokens, audit = authenticator.tokens, Audit(parts.database)

    def record(token: ApiToken) -> TokenRecord:
        return TokenRecord(
            id=token.id,
            name=token.name,
            role=token.role,
            created_by=token.created_by,
            created_at=token.created_at,
            last_used_at=token.last_used_at,
            expires_at=tokens.ends_at(token),
        )

    @router.get("/tokens", summary="Which programs may ask")
    def listed(_caller: Operator) -> TokenList:
        return TokenList(tokens=tuple(map(record, tokens.list())))

    @router.post(
        "/tokens", status_code=201, summary="Let a program ask", responses=responses(409, 422)
    )
    def add(new: NewToken, caller: Confirmed) -> TokenMade:
        """The token is shown this once; only its SHA-256 is stored. It ends with the account that
        made it, and after `http.token_days`."""
        if new.name.startswith(KIOSK):
            raise UsernameInvalid(f"{KIOSK} begins the names of tablets: POST /api/v1/kiosks.")
        token = TOKEN_PREFIX + secrets.token_urlsafe(32)
        with parts.database.transaction():
            made = tokens.add(new.name, token, new.role, caller.name, parts.clock())
            authenticator.note(caller, "token_added", made.name, {"role": made.role.value})
        return TokenMade(token=token, record=record(made))

    @router.delete(
        "/tokens/{token_id}",
        summary="A program may no longer ask",
        responses=responses(404, 422),
    )
    def delete(token_id: Annotated[int, Path(ge=1, le=2**62)], caller: Operator) -> TokenRecord:
        """Nor may those that it made."""
        with parts.database.transaction():
            gone = tokens.delete(token_id)
            authenticator.note(caller, "token_deleted", gone.name)
        return record(gone)

    @router.get("/audit", summary="Who changed what", responses=responses(422))
    def rows(
        _caller: Operator,
        cursor: Annotated[int | None, Query(ge=0, le=2**62)] = None,
        limit: Annotated[int, Query(ge=1, le=1000)] = 50,
    ) -> AuditPage:
        found = audit.newest(limit, cursor)
        return AuditPage(
            rows=tuple(
                AuditRecord(
                    id=row.id,
                    timestamp=row.at,
                    actor=row.actor,
                    action=row.action,
                    subject=row.subject,
                    detail=dict(row.detail),
                    address=row.address,
                )
                for row in found
            ),
            cursor=found[-1].id if len(found) == limit else None,
        )

    return router


def _values(values: ThresholdValues) -> Values:
    return values.model_dump(exclude_none=True)


def _thresholds(thresholds: ThresholdEditor) -> ThresholdsAnswer:
    current = thresholds.current.model_dump(include=set(ADJUSTABLE))
    distance = thresholds.distance
    return ThresholdsAnswer(
        **current,
        recognizer=distance.recognizer,
        threshold=distance.distance,
        risk=distance.false_accept,
        extrapolated=not distance.carried,
        scale=distance.scale,
        promised=distance.is_promised,
        set_here=tuple(sorted(thresholds.overridden())),
        fixed=tuple(sorted(thresholds.fixed())),
    )


def _account(account: Account) -> AccountRecord:
    return AccountRecord.model_validate(account, from_attributes=True)
