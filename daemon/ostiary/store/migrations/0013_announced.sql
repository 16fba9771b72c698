-- What the broker keeps of this door, so that it can be taken back once it is not so any more.
CREATE TABLE announced (topic TEXT PRIMARY KEY) WITHOUT ROWID;
