-- Who ever had two templates of one recogniser: the door takes none of them from visits any more, whichever are removed.
CREATE TABLE had_two (
    username TEXT PRIMARY KEY REFERENCES users (username) ON UPDATE CASCADE ON DELETE CASCADE
);
INSERT INTO had_two SELECT DISTINCT username FROM templates GROUP BY username, recognizer HAVING COUNT(*) > 1;
