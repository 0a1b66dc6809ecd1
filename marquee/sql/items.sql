-- An item of the catalogue.
CREATE TABLE items (
    item_id VARCHAR PRIMARY KEY,
    title VARCHAR NOT NULL,
    genres VARCHAR[] NOT NULL,
    is_listed BOOLEAN NOT NULL,
    source_sha256 VARCHAR NOT NULL,
    source_file VARCHAR NOT NULL,
    source_line BIGINT NOT NULL
);

INSERT INTO items BY NAME
WITH catalogue AS (
    SELECT * FROM input_items
),

final AS (
    SELECT item_id, title, genres, is_listed, source_sha256, source_file, source_line
    FROM catalogue
)

SELECT * FROM final
ORDER BY item_id;

COMMENT ON TABLE items IS 'an item of the catalogue';
COMMENT ON COLUMN items.item_id IS 'the item, as the source spells it';
COMMENT ON COLUMN items.title IS 'the item''s title; the item''s id where the source has none';
COMMENT ON COLUMN items.genres IS 'genres of the item; empty where the source has none';
COMMENT ON COLUMN items.is_listed IS 'whether a catalogue lists it; else it was only rated, and its title is its id';
COMMENT ON COLUMN items.source_sha256 IS 'sha256 of the raw batch that the row came in';
COMMENT ON COLUMN items.source_file IS 'file of that batch';
COMMENT ON COLUMN items.source_line IS 'line of that file, the first is 1';
