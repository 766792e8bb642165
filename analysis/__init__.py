"""From the record to tables. Reads the storage and nothing else; imports neither torch nor ray."""
