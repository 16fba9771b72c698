-- A person has an id, which is never given again, and everything of them refers to it; the name is in this row
-- only. The first version's columns stay first, as it reads them; what it wrote that no name is stays as it is.
-- key: to which everything else of them is sealed, itself sealed with the id and the name; NULL until the
-- database was open with its store key. AUTOINCREMENT goes on where it was.
CREATE TABLE users_with_ids (
    username   TEXT UNIQUE,
    encoding   BLOB,
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    key        BLOB
);
-- NOT INDEXED: a damaged file's index may tell other names than its table. Of two rows with one name the second
-- becomes one without a name.
INSERT INTO users_with_ids (username, encoding, created_at)
    SELECT CASE WHEN place = 1 THEN username ELSE CAST(username || ' ' || place AS BLOB) END, encoding, created_at
    FROM (SELECT *, rowid AS number,
            CASE WHEN username IS NULL THEN 1
            ELSE row_number() OVER (PARTITION BY username ORDER BY rowid) END AS place
        FROM users NOT INDEXED)
    ORDER BY number;

CREATE TABLE templates_of_ids (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id    INTEGER NOT NULL REFERENCES users_with_ids (id) ON DELETE CASCADE,
    descriptor BLOB NOT NULL CHECK (length(descriptor) IN (512, 542)),
    created_at TEXT,
    source     TEXT NOT NULL,
    recognizer TEXT NOT NULL DEFAULT 'dlib',
    quality    REAL
);
INSERT INTO templates_of_ids (id, user_id, descriptor, created_at, source, recognizer, quality)
    SELECT old.id, users_with_ids.id, descriptor, old.created_at, source, recognizer, quality
    FROM templates AS old JOIN users_with_ids USING (username);
DELETE FROM sqlite_sequence WHERE name = 'templates_of_ids';
INSERT INTO sqlite_sequence (name, seq) SELECT 'templates_of_ids', seq FROM sqlite_sequence
    WHERE name = 'templates';
DROP TABLE templates;

CREATE TABLE credentials_of_ids (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id    INTEGER NOT NULL REFERENCES users_with_ids (id) ON DELETE CASCADE,
    kind       TEXT NOT NULL CHECK (kind IN ('pin', 'duress', 'card')),
    lookup     TEXT NOT NULL,
    secret     BLOB NOT NULL,
    created_at TEXT NOT NULL
);
INSERT INTO credentials_of_ids (id, user_id, kind, lookup, secret, created_at)
    SELECT old.id, users_with_ids.id, kind, lookup, secret, old.created_at
    FROM credentials AS old JOIN users_with_ids USING (username);
DELETE FROM sqlite_sequence WHERE name = 'credentials_of_ids';
INSERT INTO sqlite_sequence (name, seq) SELECT 'credentials_of_ids', seq FROM sqlite_sequence
    WHERE name = 'credentials';
DROP TABLE credentials;

CREATE TABLE members_of_ids (
    user_id  INTEGER NOT NULL REFERENCES users_with_ids (id) ON DELETE CASCADE,
    group_id INTEGER NOT NULL REFERENCES groups (id) ON DELETE RESTRICT,
    PRIMARY KEY (user_id, group_id)
) WITHOUT ROWID;
INSERT INTO members_of_ids (user_id, group_id)
    SELECT id, group_id FROM members JOIN users_with_ids USING (username);
DROP TABLE members;

CREATE TABLE validity_of_ids (
    user_id     INTEGER PRIMARY KEY REFERENCES users_with_ids (id) ON DELETE CASCADE,
    valid_from  TEXT,
    valid_until TEXT
);
INSERT INTO validity_of_ids (user_id, valid_from, valid_until)
    SELECT id, valid_from, valid_until FROM validity JOIN users_with_ids USING (username);
DROP TABLE validity;

CREATE TABLE had_two_of_ids (
    user_id INTEGER PRIMARY KEY REFERENCES users_with_ids (id) ON DELETE CASCADE
);
INSERT INTO had_two_of_ids (user_id) SELECT id FROM had_two JOIN users_with_ids USING (username);
DROP TABLE had_two;

CREATE TABLE site_people_of_ids (
    person          TEXT PRIMARY KEY,
    version         TEXT NOT NULL,
    deleted         INTEGER NOT NULL CHECK (deleted IN (0, 1)),
    digest          BLOB NOT NULL CHECK (length(digest) = 32),
    envelope        BLOB,
    user_id         INTEGER UNIQUE REFERENCES users_with_ids (id) ON DELETE SET NULL,
    waiting         INTEGER NOT NULL CHECK (waiting IN (0, 1)),
    heard_at        TEXT,
    former          BLOB,
    former_heard_at TEXT
);
INSERT INTO site_people_of_ids
    SELECT person, version, deleted, digest, envelope, id, waiting, heard_at, former, former_heard_at
    FROM site_people LEFT JOIN users_with_ids USING (username);
DROP TABLE site_people;

DROP TABLE users;
ALTER TABLE users_with_ids RENAME TO users;
ALTER TABLE templates_of_ids RENAME TO templates;
ALTER TABLE credentials_of_ids RENAME TO credentials;
ALTER TABLE members_of_ids RENAME TO members;
ALTER TABLE validity_of_ids RENAME TO validity;
ALTER TABLE had_two_of_ids RENAME TO had_two;
ALTER TABLE site_people_of_ids RENAME TO site_people;
CREATE INDEX templates_by_user ON templates (user_id);
CREATE INDEX credentials_by_user ON credentials (user_id);
CREATE INDEX credentials_by_lookup ON credentials (lookup);
CREATE UNIQUE INDEX credentials_one_pin ON credentials (user_id, kind) WHERE kind != 'card';
CREATE INDEX members_by_group ON members (group_id);
CREATE INDEX site_people_waiting ON site_people (person) WHERE waiting = 1;
