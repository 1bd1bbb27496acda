-- Who may ask, and nothing else. Where the store's own role may not make roles, an administrator runs
-- CREATE ROLE lpr_reader NOLOGIN and then this file again.
REVOKE ALL ON FUNCTION lpr.ask FROM PUBLIC;
REVOKE ALL ON FUNCTION lpr.make_month, lpr.purge_reads FROM PUBLIC;

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'lpr_reader')
        AND (SELECT rolsuper OR rolcreaterole FROM pg_roles WHERE rolname = current_user) THEN
        CREATE ROLE lpr_reader NOLOGIN;
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'lpr_reader') THEN
        GRANT USAGE ON SCHEMA lpr TO lpr_reader;
        GRANT SELECT ON lpr.migrations TO lpr_reader;
        GRANT EXECUTE ON FUNCTION lpr.ask TO lpr_reader;
    END IF;
END $$;
