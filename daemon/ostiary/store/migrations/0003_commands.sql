-- The answer of every command that was run, so that one delivered twice runs once.
CREATE TABLE commands (
    requester      TEXT NOT NULL,
    command        TEXT NOT NULL,
    transaction_id BLOB NOT NULL,
    digest         BLOB NOT NULL,
    answer         BLOB NOT NULL,
    answered_at    TEXT NOT NULL,
    PRIMARY KEY (requester, command, transaction_id)
);
CREATE INDEX commands_by_time ON commands (answered_at);
