"""Who is who: keys, certificates, root record, tokens, and the files that keep them."""
