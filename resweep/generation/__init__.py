"""From a definition to trials on disk: build the source, fill the template, compute ids, write what is new."""
