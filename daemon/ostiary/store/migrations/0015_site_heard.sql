-- heard_at: when this door heard of the person's last change, whatever its author says. former: for a day the
-- message about somebody whom another door deleted, sealed by the site's key, so that they come back where that
-- door is revoked; former_heard_at: when that was heard.
ALTER TABLE site_people ADD COLUMN heard_at TEXT;
ALTER TABLE site_people ADD COLUMN former BLOB;
ALTER TABLE site_people ADD COLUMN former_heard_at TEXT;
UPDATE site_people SET heard_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now');
