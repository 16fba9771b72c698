-- Which network made a template: those of different ones are never compared. All until now are dlib's.
-- quality: how good the picture was, above 0 to 1; NULL where it was not measured.
ALTER TABLE templates ADD COLUMN recognizer TEXT NOT NULL DEFAULT 'dlib';
ALTER TABLE templates ADD COLUMN quality REAL;

-- What a distance was measured by, and how near was near enough at that moment.
ALTER TABLE events ADD COLUMN threshold REAL;
ALTER TABLE events ADD COLUMN recognizer TEXT;
