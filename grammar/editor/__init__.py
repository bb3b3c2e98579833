"""What an editor needs to know about a .hw text, as functions of text and offset; nothing here knows an editor's protocol."""
