-- What was recorded, in order, each hashed over the one before. row: events.seq or audit.id; of rows that
-- were removed because they were old, `note` names which. digest, link: SHA-256.
CREATE TABLE chain (
    position INTEGER PRIMARY KEY,
    kind     TEXT NOT NULL CHECK (kind IN ('event', 'audit', 'removed')),
    row      INTEGER NOT NULL,
    digest   BLOB NOT NULL CHECK (length(digest) = 32),
    note     TEXT NOT NULL,
    link     BLOB NOT NULL CHECK (length(link) = 32)
);

-- Links that the door has signed with its own key.
CREATE TABLE chain_heads (
    position  INTEGER PRIMARY KEY,
    link      BLOB NOT NULL CHECK (length(link) = 32),
    door      TEXT NOT NULL,
    signed_at TEXT NOT NULL,
    signature TEXT NOT NULL
);
