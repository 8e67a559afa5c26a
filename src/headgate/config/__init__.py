"""L3: headgate.yaml turned into immutable values: schema, load, compile, discover, watch, prices."""
