"""L1: sans-io codecs of the dialects. `codec.codec_for` picks one; no I/O, no clock."""
