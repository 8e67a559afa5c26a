"""L5: what people and programs touch: the data plane, the admin plane and the command line."""
