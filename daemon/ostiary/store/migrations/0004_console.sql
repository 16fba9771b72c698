-- Who may use the console. password: an argon2id hash in its PHC form.
CREATE TABLE accounts (
    name                TEXT PRIMARY KEY,
    password            TEXT NOT NULL,
    role                TEXT NOT NULL CHECK (role IN ('viewer', 'operator')),
    created_at          TEXT NOT NULL,
    password_changed_at TEXT NOT NULL
) WITHOUT ROWID;

-- Who is signed in. digest: SHA-256 of the cookie.
CREATE TABLE sessions (
    digest  BLOB PRIMARY KEY CHECK (length(digest) = 32),
    account TEXT NOT NULL REFERENCES accounts (name) ON DELETE CASCADE,
    csrf    TEXT NOT NULL,
    ends_at TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX sessions_by_account ON sessions (account);

-- Programs that may use the API. digest: SHA-256 of the token, which is shown only once.
CREATE TABLE api_tokens (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    name         TEXT NOT NULL UNIQUE,
    digest       BLOB NOT NULL UNIQUE CHECK (length(digest) = 32),
    role         TEXT NOT NULL CHECK (role IN ('viewer', 'operator')),
    created_by   TEXT NOT NULL,
    created_at   TEXT NOT NULL,
    last_used_at TEXT
);

-- Who changed what, and from where. Never a descriptor, an image, a password or a token.
CREATE TABLE audit (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    at      TEXT NOT NULL,
    actor   TEXT NOT NULL,
    action  TEXT NOT NULL,
    subject TEXT NOT NULL,
    detail  TEXT NOT NULL,
    address TEXT NOT NULL
);

-- Small pictures of the moment of a decision, where the configuration keeps them.
CREATE TABLE snapshots (
    seq      INTEGER PRIMARY KEY REFERENCES events (seq) ON DELETE CASCADE,
    jpeg     BLOB NOT NULL,
    taken_at TEXT NOT NULL
);
CREATE INDEX snapshots_by_time ON snapshots (taken_at);
