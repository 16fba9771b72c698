-- The first version's table as it was, so that its database opens as it is.
-- encoding: 128 little-endian float64 of one descriptor. Matching reads `templates`.
CREATE TABLE IF NOT EXISTS users (
    username   TEXT PRIMARY KEY,
    encoding   BLOB NOT NULL,
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP
);

-- descriptor: 128 little-endian float32. created_at: RFC 3339 in UTC, NULL where unknown.
CREATE TABLE templates (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    username   TEXT NOT NULL REFERENCES users (username) ON UPDATE CASCADE ON DELETE CASCADE,
    descriptor BLOB NOT NULL CHECK (length(descriptor) = 512),
    created_at TEXT,
    source     TEXT NOT NULL
);
CREATE INDEX templates_by_user ON templates (username);
