-- The columns of a table that can be written, and the place of each in the primary key (0: not in it).
SELECT name, pk FROM pragma_table_xinfo(?1) WHERE hidden = 0
