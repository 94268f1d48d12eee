"""What a result looks like to people: a page that opens anywhere, and tables for a terminal."""
