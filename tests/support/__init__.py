"""What the end-to-end checks need around the program: its process, real clients, a mail server, Windows events."""
