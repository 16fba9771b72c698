-- A camera's own last layer. about: for which camera, and how it was proven (JSON), and the layer itself, both
-- sealed. dropped: why it is used no more.
CREATE TABLE calibrations (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    camera  TEXT NOT NULL UNIQUE,
    about   TEXT NOT NULL,
    layer   BLOB NOT NULL,
    dropped TEXT
);

-- What was shown in the sittings before it: no pictures, but what the network makes of them. Sealed.
CREATE TABLE presentations (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    camera  TEXT NOT NULL,
    about   TEXT NOT NULL,
    content BLOB NOT NULL
);
CREATE INDEX presentations_by_camera ON presentations (camera);
