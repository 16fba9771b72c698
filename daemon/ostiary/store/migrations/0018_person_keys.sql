-- What names somebody in the record is sealed under a key of that person's: who is deleted loses the key, and
-- nothing that was written is changed. The rows of before wait in `…_before` until the door has converted them.
ALTER TABLE snapshots RENAME TO snapshots_before;
ALTER TABLE events RENAME TO events_before;
ALTER TABLE audit RENAME TO audit_before;
DROP INDEX events_undelivered;
DROP INDEX events_by_time;
DROP INDEX snapshots_by_time;

-- person: a number of `users`, or one that was never registered; it is never given again. key: 32 bytes, sealed
-- in a sealed database. mac: HMAC-SHA256 of both by a key of the door's. leaving: the entry of the chain by which
-- the door removed them; name: the last they had, under this key.
CREATE TABLE person_keys (
    person  INTEGER PRIMARY KEY,
    key     BLOB NOT NULL,
    mac     BLOB,
    leaving INTEGER,
    name    BLOB
);
CREATE INDEX person_keys_leaving ON person_keys (person) WHERE leaving IS NOT NULL;

-- named: what names the person, under their key; both NULL where nobody is named.
CREATE TABLE events (
    seq          INTEGER PRIMARY KEY AUTOINCREMENT,
    event_id     BLOB NOT NULL UNIQUE CHECK (length(event_id) = 16),
    kind         TEXT NOT NULL CHECK (kind IN ('login', 'user', 'door')),
    timestamp    TEXT NOT NULL,
    source       TEXT NOT NULL,
    -- of a login
    success      INTEGER CHECK (success IN (0, 1)),
    reason       TEXT,
    distance     REAL,
    liveness     REAL,
    threshold    REAL,
    recognizer   TEXT,
    -- of a change to a user; of a door: what happened there (reason: who asked, mode: the new one)
    action       TEXT,
    mode         TEXT,
    person       INTEGER,
    named        BLOB,
    delivered_at TEXT
);
CREATE INDEX events_undelivered ON events (seq) WHERE delivered_at IS NULL;
CREATE INDEX events_by_time ON events (timestamp);
CREATE INDEX events_by_person ON events (person) WHERE person IS NOT NULL;
INSERT INTO sqlite_sequence (name, seq) SELECT 'events', seq FROM sqlite_sequence WHERE name = 'events_before';

CREATE TABLE audit (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    at      TEXT NOT NULL,
    actor   TEXT NOT NULL,
    action  TEXT NOT NULL,
    subject TEXT NOT NULL,
    detail  TEXT NOT NULL,
    address TEXT NOT NULL,
    person  INTEGER,
    named   BLOB
);
CREATE INDEX audit_by_person ON audit (person) WHERE person IS NOT NULL;
INSERT INTO sqlite_sequence (name, seq) SELECT 'audit', seq FROM sqlite_sequence WHERE name = 'audit_before';

CREATE TABLE snapshots (
    seq      INTEGER PRIMARY KEY REFERENCES events (seq) ON DELETE CASCADE,
    jpeg     BLOB NOT NULL,
    taken_at TEXT NOT NULL
);
CREATE INDEX snapshots_by_time ON snapshots (taken_at);
