"""What `make demo` serves: uploads, streams, files and a database cursor, all of them real."""
