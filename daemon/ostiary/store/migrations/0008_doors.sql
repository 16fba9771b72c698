-- What happens at the door itself is an event, too.
-- AUTOINCREMENT goes on where it was; the pictures move along, for they hang on their events.
CREATE TABLE events_wider (
    seq               INTEGER PRIMARY KEY AUTOINCREMENT,
    event_id          BLOB NOT NULL UNIQUE CHECK (length(event_id) = 16),
    kind              TEXT NOT NULL CHECK (kind IN ('login', 'user', 'door')),
    timestamp         TEXT NOT NULL,
    username          TEXT,
    message           TEXT,
    source            TEXT NOT NULL,
    -- of a login
    success           INTEGER CHECK (success IN (0, 1)),
    reason            TEXT,
    distance          REAL,
    liveness          REAL,
    -- of a change to a user; of a door: what happened there (reason: who asked, message: the mode);
    -- of a login: 'duress', where the person was forced
    action            TEXT,
    previous_username TEXT,
    delivered_at      TEXT,
    threshold         REAL,
    recognizer        TEXT
);
INSERT INTO events_wider (seq, event_id, kind, timestamp, username, message, source, success, reason,
    distance, liveness, action, previous_username, delivered_at, threshold, recognizer)
    SELECT seq, event_id, kind, timestamp, username, message, source, success, reason,
    distance, liveness, action, previous_username, delivered_at, threshold, recognizer FROM events;
DELETE FROM sqlite_sequence WHERE name = 'events_wider';
INSERT INTO sqlite_sequence (name, seq) SELECT 'events_wider', seq FROM sqlite_sequence
    WHERE name = 'events';
CREATE TABLE snapshots_kept (
    seq      INTEGER PRIMARY KEY REFERENCES events_wider (seq) ON DELETE CASCADE,
    jpeg     BLOB NOT NULL,
    taken_at TEXT NOT NULL
);
INSERT INTO snapshots_kept (seq, jpeg, taken_at) SELECT seq, jpeg, taken_at FROM snapshots;
DROP TABLE snapshots;
DROP TABLE events;
ALTER TABLE events_wider RENAME TO events;
ALTER TABLE snapshots_kept RENAME TO snapshots;
CREATE INDEX events_undelivered ON events (seq) WHERE delivered_at IS NULL;
CREATE INDEX events_by_time ON events (timestamp);
CREATE INDEX snapshots_by_time ON snapshots (taken_at);

-- PINs as argon2 hashes, cards by number. lookup finds them: of a PIN six bits of its hash, of a card
-- its number; it is sealed as names are, so that a copied disk tells neither.
CREATE TABLE credentials (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    username   TEXT NOT NULL REFERENCES users (username) ON UPDATE CASCADE ON DELETE CASCADE,
    kind       TEXT NOT NULL CHECK (kind IN ('pin', 'duress', 'card')),
    lookup     TEXT NOT NULL,
    secret     BLOB NOT NULL,
    created_at TEXT NOT NULL
);
CREATE INDEX credentials_by_user ON credentials (username);
CREATE INDEX credentials_by_lookup ON credentials (lookup);
CREATE UNIQUE INDEX credentials_one_pin ON credentials (username, kind) WHERE kind != 'card';

-- How each door is run, over a restart.
CREATE TABLE doors (
    camera TEXT PRIMARY KEY,
    mode   TEXT NOT NULL CHECK (mode IN ('normal', 'unlocked', 'lockdown')),
    set_by TEXT NOT NULL,
    set_at TEXT NOT NULL
) WITHOUT ROWID;
