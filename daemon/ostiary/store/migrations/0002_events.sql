-- Audit trail and outbox in one: a row is undelivered until its PUBACK sets delivered_at.
-- AUTOINCREMENT: a sequence number is never given twice, not even after pruning.
CREATE TABLE events (
    seq               INTEGER PRIMARY KEY AUTOINCREMENT,
    event_id          BLOB NOT NULL UNIQUE CHECK (length(event_id) = 16),
    kind              TEXT NOT NULL CHECK (kind IN ('login', 'user')),
    timestamp         TEXT NOT NULL,
    username          TEXT,
    message           TEXT,
    source            TEXT NOT NULL,
    -- of a login
    success           INTEGER CHECK (success IN (0, 1)),
    reason            TEXT,
    distance          REAL,
    liveness          REAL,
    -- of a change to a user
    action            TEXT,
    previous_username TEXT,
    delivered_at      TEXT
);
CREATE INDEX events_undelivered ON events (seq) WHERE delivered_at IS NULL;
CREATE INDEX events_by_time ON events (timestamp);

-- Counts that outlive a restart.
CREATE TABLE counters (
    name  TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) WITHOUT ROWID;
INSERT INTO counters VALUES ('events_dropped', 0);
