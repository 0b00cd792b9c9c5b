"""One module per API: it reads requests and writes answers, and knows nothing of models or threads."""
