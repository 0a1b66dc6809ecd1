-- Items and users in clusters, with a place on a map; empty where the model has no factors.
CREATE TABLE clusters (
    kind VARCHAR NOT NULL,
    id VARCHAR NOT NULL,
    cluster BIGINT NOT NULL,
    name VARCHAR NOT NULL,
    x DOUBLE NOT NULL,
    y DOUBLE NOT NULL
);

INSERT INTO clusters BY NAME
WITH clustered AS (
    SELECT * FROM input_clusters
),

final AS (
    SELECT kind, id, cluster, name, x, y
    FROM clustered
)

SELECT * FROM final
ORDER BY kind, id;

COMMENT ON TABLE clusters IS 'an item or a user, and the cluster it is in';
COMMENT ON COLUMN clusters.kind IS 'what it is: item or user';
COMMENT ON COLUMN clusters.id IS 'its item_id or user_id';
COMMENT ON COLUMN clusters.cluster IS 'number of the cluster within its kind, the largest is 1';
COMMENT ON COLUMN clusters.name IS 'genres that the cluster has more of than all have; else cluster and its number';
COMMENT ON COLUMN clusters.x IS 'place on a map of all items and users, from left to right';
COMMENT ON COLUMN clusters.y IS 'place on that map, from bottom to top';
