-- When a person first had two templates of one recogniser; NULL: never. From then on the door takes none from visits, whichever are
-- removed.
ALTER TABLE users ADD COLUMN second_at TEXT;
UPDATE users SET second_at = strftime('%Y-%m-%dT%H:%M:%SZ', 'now')
WHERE username IN (SELECT username FROM templates GROUP BY username, recognizer HAVING COUNT(*) > 1);
