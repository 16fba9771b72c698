-- Every event of every door, once: an event delivered again has the same id and moment. document: as it was
-- published. One partition a month, so that what is too old goes at once.
CREATE TABLE events (
    event_id    uuid        NOT NULL,
    at          timestamptz NOT NULL,
    door        text        NOT NULL,
    seq         bigint      NOT NULL,
    kind        text        NOT NULL,
    username    text,
    success     boolean,
    reason      text,
    source      text,
    document    jsonb       NOT NULL,
    archived_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (event_id, at)
) PARTITION BY RANGE (at);
CREATE INDEX events_by_time ON events (at);
CREATE INDEX events_by_door ON events (door, at);
CREATE INDEX events_by_person ON events (username, at) WHERE username IS NOT NULL;

-- What came under an event's topic and is none: nothing is dropped silently.
CREATE TABLE refused (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at      timestamptz NOT NULL DEFAULT now(),
    topic   text        NOT NULL,
    payload bytea       NOT NULL,
    reason  text        NOT NULL
);
