-- A purpose is words that somebody can read: no blanks of any script in place of ten characters, and no book.
ALTER TABLE lpr.access_log ADD CONSTRAINT readable CHECK (
    length(btrim(purpose, U&' \00A0\1680\2000\2001\2002\2003\2004\2005\2006\2007\2008\2009\200A\200B\200C\200D\2028\2029\202F\205F\2060\3000\FEFF')) >= 10
    AND length(purpose) <= 1000 AND length(who) <= 200
) NOT VALID;
