"""What an editor asks of a .hw text, as functions of text and offset; nothing here knows how an editor is spoken to."""
