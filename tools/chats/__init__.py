"""Chats rendered by a tokenizer's chat template, as lines of JSON that `tandem data tokenize` reads."""
