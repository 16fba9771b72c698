-- Who wrote an entry: HMAC-SHA256 by a key that is derived from the door's own; NULL: nobody can tell.
ALTER TABLE chain ADD COLUMN mac BLOB;

-- Who is to be forgotten is the door's word only: its rows have its MAC, and name a span that is over.
ALTER TABLE leaving ADD COLUMN audit_from INTEGER NOT NULL DEFAULT 0;
ALTER TABLE leaving ADD COLUMN mac BLOB;
