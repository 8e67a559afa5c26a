"""L3: HTTP to the providers, behind one seam; the only place that imports an HTTP client."""
