-- What a row's digest has besides its columns, so that nobody can try names against it; NULL in a row that
-- is older, or that names nobody any more. forgotten: the door's signature of a row whose name was taken out;
-- empty: it did not fit the chain before.
ALTER TABLE events ADD COLUMN salt BLOB;
ALTER TABLE events ADD COLUMN forgotten TEXT;
ALTER TABLE audit ADD COLUMN salt BLOB;
ALTER TABLE audit ADD COLUMN forgotten TEXT;

-- Who was deleted and is still named somewhere. events_from: older events are done with. events_until,
-- audit_until: newer rows are of somebody else who has got the name since.
CREATE TABLE leaving (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    name         TEXT NOT NULL,
    events_from  INTEGER NOT NULL DEFAULT 0,
    events_until INTEGER,
    audit_until  INTEGER
);
