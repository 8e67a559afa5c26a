"""L3: the only owner of SQL and of balances. Tables, the writer, incarnations, keys, views, migrations."""
