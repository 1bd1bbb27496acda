-- As 0005_reader.sql: where the store's own role may not make roles, an administrator runs this file again, too.
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'lpr_reader') THEN
        GRANT EXECUTE ON FUNCTION lpr.ask_images TO lpr_reader;
    END IF;
END $$;
