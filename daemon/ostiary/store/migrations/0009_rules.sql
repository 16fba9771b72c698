-- Groups of people. name: sealed as people's names are.
CREATE TABLE groups (
    id   INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE
);
CREATE TABLE members (
    username TEXT NOT NULL REFERENCES users (username) ON UPDATE CASCADE ON DELETE CASCADE,
    group_id INTEGER NOT NULL REFERENCES groups (id) ON DELETE RESTRICT,
    PRIMARY KEY (username, group_id)
) WITHOUT ROWID;
CREATE INDEX members_by_group ON members (group_id);

-- From when until before when somebody may pass: RFC 3339 in UTC, NULL: no such end.
CREATE TABLE validity (
    username    TEXT PRIMARY KEY REFERENCES users (username) ON UPDATE CASCADE ON DELETE CASCADE,
    valid_from  TEXT,
    valid_until TEXT
) WITHOUT ROWID;

-- content: everything of a rule but its groups, as JSON, sealed.
CREATE TABLE rules (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    content TEXT NOT NULL
);
CREATE TABLE rule_groups (
    rule_id  INTEGER NOT NULL REFERENCES rules (id) ON DELETE CASCADE,
    group_id INTEGER NOT NULL REFERENCES groups (id) ON DELETE RESTRICT,
    PRIMARY KEY (rule_id, group_id)
) WITHOUT ROWID;
CREATE INDEX rule_groups_by_group ON rule_groups (group_id);

-- date: as the site's calendar has it, 2026-12-25.
CREATE TABLE holidays (
    id   INTEGER PRIMARY KEY AUTOINCREMENT,
    date TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL
);
