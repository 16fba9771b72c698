-- The site that this door belongs to. authority: the key-holder's public key; members: the newest list that it
-- signed; heard_at: when the site was heard last.
CREATE TABLE site (
    id        INTEGER PRIMARY KEY CHECK (id = 1),
    site      TEXT NOT NULL,
    authority BLOB NOT NULL CHECK (length(authority) = 32),
    members   BLOB NOT NULL,
    joined_at TEXT NOT NULL,
    heard_at  TEXT
);

-- Everybody of the site, also who was deleted. envelope: as it is published, sealed by the site's key; of a
-- deletion that everybody has heard of only the id stays. username: who it is at this door, if anybody.
-- waiting: it is to be published.
CREATE TABLE site_people (
    person   TEXT PRIMARY KEY,
    version  TEXT NOT NULL,
    deleted  INTEGER NOT NULL CHECK (deleted IN (0, 1)),
    digest   BLOB NOT NULL CHECK (length(digest) = 32),
    envelope BLOB,
    username TEXT UNIQUE REFERENCES users (username) ON UPDATE CASCADE ON DELETE SET NULL,
    waiting  INTEGER NOT NULL CHECK (waiting IN (0, 1))
);
CREATE INDEX site_people_waiting ON site_people (person) WHERE waiting = 1;
