-- A line of the access log is one line: nobody may write a second one into it.
ALTER TABLE lpr.access_log ADD CONSTRAINT printable CHECK (who !~ '[[:cntrl:]]' AND purpose !~ '[[:cntrl:]]') NOT VALID;
