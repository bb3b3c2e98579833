"""Text in, text out: tokenizers, chat templates, and what ends a text."""
