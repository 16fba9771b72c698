-- A template may be sealed: 512 bytes of it, and 30 around them.
CREATE TABLE templates_resealable (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    username   TEXT NOT NULL REFERENCES users (username) ON UPDATE CASCADE ON DELETE CASCADE,
    descriptor BLOB NOT NULL CHECK (length(descriptor) IN (512, 542)),
    created_at TEXT,
    source     TEXT NOT NULL,
    recognizer TEXT NOT NULL DEFAULT 'dlib',
    quality    REAL
);
INSERT INTO templates_resealable (id, username, descriptor, created_at, source, recognizer, quality)
    SELECT id, username, descriptor, created_at, source, recognizer, quality FROM templates;
DROP TABLE templates;
ALTER TABLE templates_resealable RENAME TO templates;
CREATE INDEX templates_by_user ON templates (username);

-- The keys of what is sealed: none in a plain database. Number 0 is the log's, which stays; the
-- others are of data, the newest seals. sealed: by the store's key; recoverable: to the recovery key.
CREATE TABLE seals (
    number      INTEGER PRIMARY KEY,
    sealed      BLOB NOT NULL,
    recoverable BLOB,
    made_at     TEXT NOT NULL
);

-- The public half of the key whose words the operator keeps.
CREATE TABLE recovery (
    id         INTEGER PRIMARY KEY CHECK (id = 1),
    public_key BLOB NOT NULL CHECK (length(public_key) = 32),
    made_at    TEXT NOT NULL
);
