-- Pictures, by the id of the read and by what its record says of them.
CREATE TABLE lpr.images (
    id uuid NOT NULL,
    sha256 text NOT NULL,
    agency text NOT NULL,
    vehicle text NOT NULL,
    jpeg bytea NOT NULL,
    stored_at timestamptz NOT NULL DEFAULT now(),
    deliveries integer NOT NULL,
    PRIMARY KEY (id, sha256)
);

-- Whether a read names a picture is looked up in the month that read_keys gives.
CREATE INDEX reads_by_id ON lpr.reads (id);

-- The one way to the pictures for whoever has the role lpr_reader: by the id and the hash that an answer of lpr.ask has.
CREATE FUNCTION lpr.ask_images(who text, purpose text, ids uuid[], sha256s text[]) RETURNS SETOF lpr.images
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    entry bigint;
    given bigint;
BEGIN
    IF length(btrim(coalesce(purpose, ''))) < 10 OR btrim(coalesce(who, '')) = '' THEN
        RAISE EXCEPTION 'say who asks, and why in 10 characters or more';
    END IF;
    IF ids IS NULL OR sha256s IS NULL THEN
        RAISE EXCEPTION 'say the pictures of which reads, and their hashes';
    END IF;
    INSERT INTO lpr.access_log (who, purpose, question, rows)
        VALUES (ask_images.who, ask_images.purpose, format('images of %s reads', cardinality(ids)), 0)
        RETURNING id INTO entry;
    RAISE LOG 'lpr.ask_images: number % in the access log, by %, as %, for: %', entry, session_user, who, purpose;
    RETURN QUERY SELECT image.* FROM unnest(ids, sha256s) AS asked (id, sha256)
        JOIN lpr.images AS image ON (image.id, image.sha256) = (asked.id, asked.sha256);
    GET DIAGNOSTICS given = ROW_COUNT;
    UPDATE lpr.access_log SET rows = given WHERE id = entry;
END $$;

REVOKE ALL ON FUNCTION lpr.ask_images FROM PUBLIC;
